"""Which Redis, and who we are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import hash_tag
from pydoredis.settings import addresses
from pydoredis.settings.addresses import DEFAULT_PORT, Kind, Node
from pydoredis.settings.file import ConfigFile
from pydoredis.settings.parsers import whole
from pydoredis.settings.setting import PREFIX

DEFAULT_URL: Final = "redis://localhost:6379/0"


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
            whole("db", db, "", minimum=0)
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
    port = DEFAULT_PORT if port is None else whole("port", port, source, minimum=1, maximum=65535)
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
    db = None if table.get("db") is None else whole("db", table["db"], source, minimum=0)
    parts = addresses.check_url(url, source)
    return addresses.with_parts(parts, text["username"], text["password"], db), source
