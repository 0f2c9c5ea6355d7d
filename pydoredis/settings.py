"""Settings: arguments > environment > file > defaults, resolved in one place and checked once.

`ConnectionSettings` says which Redis, `WorkerSettings` how a worker behaves. Both are frozen, and both are
built by their `load`, which takes what the command line (or a caller) gave and fills in the rest. Nothing
is read at import time. `docs/settings.md` is the table for users.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from pydoredis import addresses
from pydoredis.addresses import DEFAULT_PORT, Kind, Node
from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import hash_tag

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Codec = Literal["auto", "r", "cloudpickle"]
REngine = Literal["auto", "rpy2", "rscript"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

DEFAULT_URL: Final = "redis://localhost:6379/0"
CONFIG_NAME: Final = "pydoredis.toml"
PREFIX: Final = "PYDOREDIS_"

T = TypeVar("T")


# --- the file ---------------------------------------------------------------------------------------------

_FILE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "redis": frozenset({"url", "host", "port", "username", "password", "db"}),
    "worker": frozenset(
        {
            *("queues", "codec", "workers", "iter", "linger", "timelimit", "log", "loglevel"),
            *("r_engine", "max_crashes", "max_tasks", "max_memory", "max_age", "grace"),
        }
    ),
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


# --- the connection ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectionSettings:
    """Where Redis is, and who we are there.

    `url` is the address, password included: of one server, of Sentinels or of a cluster (`addresses`).
    Whatever is shown to people or logged is `safe_url`, and that is also what `repr` and `str` show.

    Attributes:
        url: The address.
        tag: The hash tag of the queues that it is for, which says which node of a cluster has them (`at`).
    """

    url: str = field(default=DEFAULT_URL, repr=False)
    tag: str = ""

    def __post_init__(self) -> None:
        addresses.check_url(self.url, "")

    @classmethod
    def load(
        cls,
        *,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        db: int | None = None,
        environ: Mapping[str, str] | None = None,
        config: ConfigFile | None = None,
    ) -> ConnectionSettings:
        """Find the server: `url`, else `host` and `port`, else ``PYDOREDIS_URL``, else ``REDIS_URL``,
        else the file, else ``redis://localhost:6379/0``.

        `username`, `password` and `db` replace those of the address found, wherever it comes from;
        ``PYDOREDIS_PASSWORD`` fills in a password that is missing (a password on the command line
        is seen by everyone who can list processes).

        Args:
            environ: The environment; the process's own by default.
            config: The configuration file; by default the one that `ConfigFile.find` finds, which is
                looked for only when nothing else says where Redis is.

        Raises:
            ConfigError: If what was found is not an address.
        """
        environ = os.environ if environ is None else environ
        found, source = url, ""
        if found is None and (host is not None or port is not None):
            found = _build_url(host, port, "")
        for name in ("PYDOREDIS_URL", "REDIS_URL"):
            if found is None and environ.get(name):
                found, source = environ[name], name
        if found is None:
            config = ConfigFile.find(environ) if config is None else config
            found, source = _url_from_file(config)
        parts = addresses.check_url(found, source)
        if password is None and parts.password is None and not addresses.query(parts).get("password"):
            password = environ.get(PREFIX + "PASSWORD") or None
        if db is not None:
            _whole("db", db, "", minimum=0)
        return cls(addresses.with_parts(parts, username, password, db))

    def at(self, *queues: str) -> ConnectionSettings:
        """The same for whoever deals with these queues: in a cluster, at the node that has their keys.

        Raises:
            ConfigError: If it is a cluster, and the names don't see to it that there is one such node.
        """
        if self.kind != "cluster":
            return self
        tags = {hash_tag(queue): queue for queue in queues}
        if None in tags:
            raise ConfigError(
                *("queue", tags[None]),
                f"a name with a hash tag, as '{{{tags[None]}}}': a Redis Cluster then keeps all that belongs "
                "to the queue on one node",
            )
        if len(tags) > 1:
            raise ConfigError(
                *("queues", ", ".join(queues)),
                "names with the same hash tag, as '{jobs}' and '{jobs}:urgent': in a Redis Cluster others "
                "may be on other nodes, and need workers of their own",
            )
        return replace(self, tag=next(iter(tags)) or "")

    @property
    def safe_url(self) -> str:
        """The address without its password: for people, logs and error messages."""
        return addresses.without_password(self.url)

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def kind(self) -> Kind:
        """What the address leads to: one ``server``, a ``sentinel`` that knows it, or a ``cluster``."""
        return addresses.kind_of(self._parts)

    @property
    def scheme(self) -> str:
        """``redis`` (TCP), ``rediss`` (TLS), ``unix`` (a socket file); with ``+sentinel`` or ``+cluster``."""
        return self._parts.scheme

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Hosts and ports that the address names: a server, Sentinels, nodes; none for a unix socket."""
        return () if self.scheme == "unix" else addresses.nodes(self._parts)

    @property
    def host(self) -> str | None:
        """Name or address of the first of these; None for a unix socket."""
        return self.nodes[0][0] if self.nodes else None

    @property
    def port(self) -> int | None:
        """Its TCP port; None for a unix socket."""
        return self.nodes[0][1] if self.nodes else None

    @property
    def service(self) -> str:
        """The name under which Sentinels know the master."""
        return addresses.service(self._parts)

    @property
    def path(self) -> str | None:
        """The socket's file name; None for TCP."""
        return unquote(self._parts.path) if self.scheme == "unix" else None

    @property
    def username(self) -> str | None:
        """The ACL user; None means Redis's default user."""
        return unquote(self._parts.username or "") or addresses.query(self._parts).get("username") or None

    @property
    def password(self) -> str | None:
        """The password, or None. For connecting, never for showing."""
        return unquote(self._parts.password or "") or addresses.query(self._parts).get("password") or None

    @property
    def db(self) -> int:
        """Number of the database."""
        return addresses.database(self._parts)

    def server_url(self, node: Node) -> str:
        """The address of one server there, password included: the master, or a node of the cluster."""
        return addresses.server_url(self._parts, node)

    def sentinel_url(self, node: Node) -> str:
        """The address of one Sentinel, with the password for it."""
        return addresses.sentinel_url(self._parts, node)

    def __repr__(self) -> str:
        return f"ConnectionSettings(url={self.safe_url!r})"

    def __str__(self) -> str:
        return self.safe_url


def _build_url(host: object, port: object, source: str) -> str:
    host = "localhost" if host is None else host
    if not isinstance(host, str) or not host or any(c in host for c in "/@?#%") or not host.isprintable():
        raise ConfigError("host", host, "a host name or address", source)
    port = DEFAULT_PORT if port is None else _whole("port", port, source, minimum=1, maximum=65535)
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"redis://{bracketed}:{port}/0"


def _url_from_file(config: ConfigFile) -> tuple[str, str]:
    """The address that the table [redis] gives, and where that stands."""
    table, source = config.redis, f"{config.path}"
    if not table:
        return DEFAULT_URL, ""
    url = table.get("url")
    if url is None:
        url = _build_url(table.get("host"), table.get("port"), source)
    if not isinstance(url, str):
        raise ConfigError("url", url, "text", source)
    text: dict[str, str | None] = {}
    for name in ("username", "password"):
        value = table.get(name)
        if value is not None and not isinstance(value, str):
            shown = value if name == "username" else f"<{type(value).__name__}>"
            raise ConfigError(name, shown, "text in quotes", source)
        text[name] = value
    db = None if table.get("db") is None else _whole("db", table["db"], source, minimum=0)
    parts = addresses.check_url(url, source)
    return addresses.with_parts(parts, text["username"], text["password"], db), source


# --- the worker -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How one worker machine behaves. Durations are seconds.

    Attributes:
        queues: Queues to serve, in this order of preference; at least one, none twice.
        codec: Which bodies to run: ``r``, ``cloudpickle``, or ``auto`` for whatever this machine can.
        workers: Number of executor processes.
        iter: Leave after so many tasks per worker; None for no limit.
        linger_s: How long to wait for a task before looking whether the queues still exist (R: `linger`).
        timelimit_s: Longest run of one task; 0 for no limit.
        log: File to append the log to; None for standard error.
        loglevel: Least severe level that is logged.
        r_engine: How to run R: ``rpy2`` (embedded), ``rscript`` (a child), or ``auto`` for the first of
            these that works.
        max_crashes: So often may one iteration kill its executor before it becomes an error.
        max_tasks: So many tasks may an executor process run before it is replaced; None for any number.
        max_memory_mb: With more resident memory (10^6 bytes) after a task it is replaced; None: any amount.
        max_age_s: If it is older after a task it is replaced; None: any age.
        grace_s: How long a shutdown waits for running tasks before it gives them back.

    Raises:
        ConfigError: If a value is not allowed.
    """

    queues: tuple[str, ...]
    codec: Codec = "auto"
    workers: int = field(default_factory=lambda: cpu_count())
    iter: int | None = None
    linger_s: float = 30.0
    timelimit_s: float = 0.0
    log: Path | None = None
    loglevel: LogLevel = "INFO"
    r_engine: REngine = "auto"
    max_crashes: int = 3
    max_tasks: int | None = None
    max_memory_mb: int | None = None
    max_age_s: float | None = None
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        for name, (attribute, parse) in _WORKER.items():
            # Parsing what is already parsed changes nothing, and checks it.
            object.__setattr__(self, attribute, parse(name, getattr(self, attribute), ""))

    @classmethod
    def load(
        cls,
        *,
        queues: Iterable[str] | None = None,
        codec: str | None = None,
        workers: int | None = None,
        iter: int | None = None,
        linger_s: float | None = None,
        timelimit_s: float | None = None,
        log: Path | str | None = None,
        loglevel: str | None = None,
        r_engine: str | None = None,
        max_crashes: int | None = None,
        max_tasks: int | None = None,
        max_memory_mb: int | None = None,
        max_age_s: float | None = None,
        grace_s: float | None = None,
        environ: Mapping[str, str] | None = None,
        config: ConfigFile | None = None,
    ) -> WorkerSettings:
        """Take each setting from the first that has it: the argument (None and an empty list mean "not
        given"), the environment (``PYDOREDIS_QUEUE``, ``PYDOREDIS_WORKERS`` …), the file, the default.

        Args:
            environ: The environment; the process's own by default.
            config: The configuration file; by default the one that `ConfigFile.find` finds.

        Raises:
            ConfigError: If a value is not allowed, or no queue is named anywhere.
        """
        environ = os.environ if environ is None else environ
        config = ConfigFile.find(environ) if config is None else config
        arguments: dict[str, object] = {
            "queues": tuple(queues) or None if queues is not None else None,
            "codec": codec,
            "workers": workers,
            "iter": iter,
            "linger": linger_s,
            "timelimit": timelimit_s,
            "log": log,
            "loglevel": loglevel,
            "r_engine": r_engine,
            "max_crashes": max_crashes,
            "max_tasks": max_tasks,
            "max_memory": max_memory_mb,
            "max_age": max_age_s,
            "grace": grace_s,
        }
        chosen: dict[str, Any] = {}
        for name, (attribute, parse) in _WORKER.items():
            variable = environment_name(name)
            if arguments[name] is not None:
                chosen[attribute] = parse(name, arguments[name], "")
            elif environ.get(variable):
                chosen[attribute] = parse(name, environ[variable], variable)
            elif name in config.worker:
                chosen[attribute] = parse(name, config.worker[name], str(config.path))
        if "queues" not in chosen:
            raise ConfigError("queue", None, "named: --queue NAME, PYDOREDIS_QUEUE or queues = [...]")
        return cls(**chosen)


def environment_name(setting: str) -> str:
    """The environment variable of a worker's setting: ``PYDOREDIS_QUEUE`` for ``queues``."""
    return PREFIX + ("QUEUE" if setting == "queues" else setting.upper())


def cpu_count() -> int:
    """How many processors this process may use: its affinity, and a container's quota where one is set."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        # A container limited to 2 of 64 processors still sees 64; the limit stands in its cgroup (v2).
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    return max(count, 1)


# --- parsers: (name of the setting, value from anywhere, its source) -> checked value ---------------------

_UNLIMITED: Final = frozenset({"inf", "none", "unlimited"})


def _whole(name: str, value: object, source: str, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number, from a number or from text."""
    upper = "" if maximum is None else f" to {maximum}"
    allowed = f"a whole number, {minimum}{upper or ' or more'}"
    number = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = int(value.strip())
    if isinstance(number, bool) or not isinstance(number, int):
        raise ConfigError(name, value, allowed, source)
    if number < minimum or (maximum is not None and number > maximum):
        raise ConfigError(name, value, allowed, source)
    return number


def _count(name: str, value: object, source: str) -> int:
    return _whole(name, value, source, minimum=1)


def _is_unlimited(value: object) -> bool:
    """None, infinity (R's default) and their names mean no limit."""
    if isinstance(value, str):
        return value.strip().lower() in _UNLIMITED
    return value is None or value == math.inf


def _count_or_unlimited(name: str, value: object, source: str) -> int | None:
    return None if _is_unlimited(value) else _count(name, value, source)


def _duration(name: str, value: object, source: str, *, zero: bool) -> float:
    """Finite seconds; 0 only if `zero`."""
    allowed = f"a number of seconds, {'0 or more' if zero else 'more than 0'}"
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        seconds = float(value)
    except (ValueError, OverflowError):
        raise ConfigError(name, value, allowed, source) from None
    if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
        raise ConfigError(name, value, allowed, source)
    return seconds


def _positive(name: str, value: object, source: str) -> float:
    return _duration(name, value, source, zero=False)


def _positive_or_unlimited(name: str, value: object, source: str) -> float | None:
    return None if _is_unlimited(value) else _positive(name, value, source)


def _not_negative(name: str, value: object, source: str) -> float:
    return _duration(name, value, source, zero=True)


def _one_of(*words: str) -> Callable[[str, object, str], str]:
    """A parser for one of `words`, whatever their case."""
    by_lower = {word.lower(): word for word in words}

    def parse(name: str, value: object, source: str) -> str:
        word = by_lower.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            raise ConfigError(name, value, f"one of {', '.join(words)}", source)
        return word

    return parse


def _queue_names(name: str, value: object, source: str) -> tuple[str, ...]:
    """Names from a list, or from text with commas in between. Which characters a name may have is the
    protocol's business; here it must only be there."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(name, value, "a list of queue names", source)
    if not all(isinstance(queue, str) and queue for queue in value):
        raise ConfigError(name, value, "a list of queue names, none of them empty", source)
    # A queue named twice would be counted twice in its worker count.
    return tuple(dict.fromkeys(cast("list[str]", value)))


def _file(name: str, value: object, source: str) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, (str, Path)) or not str(value):
        raise ConfigError(name, value, "the name of a file", source)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ConfigError(name, value, f"the name of a file; {error}", source) from error


_WORKER: Final[Mapping[str, tuple[str, Callable[[str, object, str], object]]]] = {
    "queues": ("queues", _queue_names),
    "codec": ("codec", _one_of(*get_args(Codec))),
    "workers": ("workers", _count),
    "iter": ("iter", _count_or_unlimited),
    "linger": ("linger_s", _positive),
    "timelimit": ("timelimit_s", _not_negative),
    "log": ("log", _file),
    "loglevel": ("loglevel", _one_of(*get_args(LogLevel))),
    "r_engine": ("r_engine", _one_of(*get_args(REngine))),
    "max_crashes": ("max_crashes", _count),
    "max_tasks": ("max_tasks", _count_or_unlimited),
    "max_memory": ("max_memory_mb", _count_or_unlimited),
    "max_age": ("max_age_s", _positive_or_unlimited),
    "grace": ("grace_s", _not_negative),
}
"""Each worker setting: its name in files, flags and the environment -> attribute, and parser."""
