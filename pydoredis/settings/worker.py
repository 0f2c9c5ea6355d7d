"""How one worker machine behaves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydoredis.errors import ConfigError
from pydoredis.settings.file import ConfigFile
from pydoredis.settings.processors import cpu_count
from pydoredis.settings.setting import settings_of
from pydoredis.settings.worker_table import WorkerTable


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(WorkerTable):
    """How one worker machine behaves. Its attributes are the fields of `WorkerTable`; see there.

    Raises:
        ConfigError: If a value is not allowed.
    """

    @property
    def threads_each(self) -> int:
        """How many threads libraries may use in each executor; 0 for as many as they like."""
        return max(1, cpu_count() // self.workers) if self.threads is None else self.threads

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        config: ConfigFile | None = None,
        **arguments: Any,
    ) -> WorkerSettings:
        """Take each setting from the first that has it: the argument (None and an empty list mean "not
        given"), the environment (``PYDOREDIS_QUEUE``, ``PYDOREDIS_WORKERS`` …), the file, the default.

        Args:
            environ: The environment; the process's own by default.
            config: The configuration file; by default the one that `ConfigFile.find` finds.
            arguments: Values of attributes.

        Raises:
            ConfigError: If a value is not allowed, or no queue is named anywhere.
            TypeError: If an argument is none of the attributes.
        """
        settings = settings_of(cls)
        if unknown := arguments.keys() - {setting.attribute for setting in settings}:
            raise TypeError(f"no such settings of a worker: {', '.join(sorted(unknown))}")
        environ = os.environ if environ is None else environ
        config = ConfigFile.find(environ) if config is None else config
        chosen: dict[str, Any] = {}
        for setting in settings:
            given = arguments.get(setting.attribute)
            if setting.several and isinstance(given, Iterable) and not isinstance(given, str):
                given = tuple(given) or None
            if given is not None:
                value, source = given, ""
            elif environ.get(setting.variable):
                value, source = environ[setting.variable], setting.variable
            elif setting.key in config.worker:
                value, source = config.worker[setting.key], str(config.path)
            else:
                continue
            chosen[setting.attribute] = setting.parse(setting.key, value, source)
        if "queues" not in chosen:
            raise ConfigError("queue", None, "named: --queue NAME, PYDOREDIS_QUEUE or queues = [...]")
        return cls(**chosen)


def environment_name(key: str) -> str:
    """The environment variable of a worker's setting: ``PYDOREDIS_QUEUE`` for ``queues``."""
    return next(setting.variable for setting in settings_of(WorkerTable) if setting.key == key)
