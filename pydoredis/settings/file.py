"""The configuration file, found and read."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydoredis.errors import ConfigError
from pydoredis.settings.setting import PREFIX, settings_of
from pydoredis.settings.worker_table import WorkerTable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_NAME: Final = "pydoredis.toml"

_FILE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "redis": frozenset({"url", "host", "port", "username", "password", "db"}),
    "worker": frozenset(setting.key for setting in settings_of(WorkerTable)),
}


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file that was read: tables ``[redis]`` and ``[worker]``.

    Attributes:
        path: Where it was found, or None when there is none.
        redis: The table ``[redis]``; may hold a password and is not shown.
        worker: The table ``[worker]``.
    """

    path: Path | None = None
    redis: Mapping[str, object] = field(default_factory=dict, repr=False)
    worker: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> ConfigFile:
        """Read the first that exists of ``$PYDOREDIS_CONFIG`` (``/dev/null`` for no file at all),
        ``./pydoredis.toml`` and ``~/.config/pydoredis/config.toml`` (or below ``$XDG_CONFIG_HOME``).

        Raises:
            ConfigError: If ``$PYDOREDIS_CONFIG`` names no file, or the file found makes no sense.
        """
        environ = os.environ if environ is None else environ
        if named := environ.get(PREFIX + "CONFIG"):
            if not Path(named).is_file() and named != os.devnull:
                raise ConfigError("config", named, "an existing file", PREFIX + "CONFIG")
            return cls.read(Path(named))
        candidates = [(cwd or Path.cwd()) / CONFIG_NAME]
        if base := environ.get("XDG_CONFIG_HOME"):
            candidates.append(Path(base) / "pydoredis" / "config.toml")
        elif home := environ.get("HOME"):
            candidates.append(Path(home) / ".config" / "pydoredis" / "config.toml")
        for path in candidates:
            if path.is_file():
                return cls.read(path)
        return cls()

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Read `path`.

        Raises:
            ConfigError: If it cannot be read, is not TOML, or has a table or key that we don't know:
                a misspelt setting must not pass in silence.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError("config", str(path), f"a readable file ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("config", str(path), f"a TOML file ({error})") from error
        for name, table in content.items():
            known = _FILE_KEYS.get(name)
            if known is None or not isinstance(table, dict):
                raise ConfigError("config", name, "a table [redis] or [worker]", str(path))
            for key in table:
                if key not in known:
                    raise ConfigError(f"[{name}]", key, f"one of {', '.join(sorted(known))}", str(path))
        return cls(path, content.get("redis", {}), content.get("worker", {}))
