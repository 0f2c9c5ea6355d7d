"""From a configuration file to the agents that a service keeps running."""

from __future__ import annotations

import logging
from pathlib import Path

from pydoredis.service.conf import ServiceConfig
from pydoredis.service.supervisor import Command, user_to_run_as
from pydoredis.settings.file import ConfigFile

log = logging.getLogger(__name__)


def commands_of(path: Path) -> list[Command]:
    """The agents that a file asks for: one for each queue of a doRedis.conf, one for a pydoredis.toml.

    Raises:
        ConfigError: If the file cannot be read, or makes no sense.
    """
    if path.suffix == ".toml":
        ConfigFile.read(path)
        return [Command("worker", (), {"PYDOREDIS_CONFIG": str(path.resolve())})]
    config = ServiceConfig.read(path)
    if config.unknown:
        log.warning("%s: %s: not known here, and passed over", path, ", ".join(config.unknown))
    user = user_to_run_as(config.user)
    environment = {
        **dict(config.environment),
        # The address has the password in it, which is no argument: everybody can read these.
        "PYDOREDIS_URL": config.connection.url,
    }
    return [
        Command(
            f"queue {one.queue}",
            (
                *("--queue", one.queue, "--workers", str(one.workers), "--linger", f"{config.linger_s:g}"),
                *("--max-tasks", str(config.iter), "--timelimit", f"{config.timelimit_s:g}"),
                *("--loglevel", config.loglevel),
            ),
            environment,
            user,
        )
        for one in config.sets
    ]
