"""Addresses of Redis as URLs: taken apart, checked, put together, and shown without their secrets.

Of one server (`redis`, `rediss`, `unix`), of the Sentinels that know it (`redis+sentinel`), or of some nodes
of a cluster (`redis+cluster`); the last two may name several hosts, and begin with `rediss+` for TLS.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode, urlsplit

from pydoredis.errors import ConfigError

Kind = Literal["server", "sentinel", "cluster"]
Node = tuple[str, int]
"""A host and its port."""

DEFAULT_PORT: Final = 6379
DEFAULT_SENTINEL_PORT: Final = 26379

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("redis", "rediss", "unix"), "server"),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel"), "sentinel"),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), "cluster"),
}
_FORMS: Final[dict[Kind, str]] = {
    "server": "redis://[user:password@]host:6379/0, rediss://… or unix:///path?db=0 (for several servers "
    "redis+sentinel://… or redis+cluster://…)",
    "sentinel": "redis+sentinel://[user:password@]host1:26379,host2:26379/name-of-the-master/0 with user and "
    "password of the master; those of the Sentinels are ?sentinel_username=…&sentinel_password=…, and "
    "?sentinel_tls=yes is for TLS to them",
    "cluster": "redis+cluster://[user:password@]host1:6379,host2:6379 (a cluster has no database but 0)",
}
_SENTINEL_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password", "sentinel_tls"})
_YES_OR_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def check_url(url: str, source: str) -> SplitResult:
    """Take `url` apart, or say what is wrong with it without showing its password.

    Args:
        url: The address.
        source: Where it was found, for the error.

    Raises:
        ConfigError: If it is no address.
    """
    kind = _KINDS.get(url.partition(":")[0].lower(), "server")
    allowed = f"an address like {_FORMS[kind]}"
    try:
        parts = urlsplit(url)
        _check(parts)
    except ValueError as error:
        raise ConfigError("url", without_password(url), allowed, source) from error
    return parts


def _check(parts: SplitResult) -> None:
    """Raise ValueError if something is missing or out of place."""
    number, options = database(parts), query(parts)
    if parts.scheme == "unix":
        if len(parts.path) <= 1 or parts.hostname is not None:
            raise ValueError("a socket is a file, without a host")
        return
    nodes(parts)
    of_sentinel = {name for name in options if name.startswith("sentinel_")}
    if kind_of(parts) != "sentinel":
        if of_sentinel:
            raise ValueError("options of Sentinel without one")
        if kind_of(parts) == "cluster" and number != 0:
            raise ValueError("a cluster has one database")
        return
    if not service(parts) or len(_path(parts)) > 2 or of_sentinel - _SENTINEL_OPTIONS:
        raise ValueError("no name of a master, or what is no option of Sentinel")
    sentinel_tls(parts)


def kind_of(parts: SplitResult) -> Kind:
    """What the address leads to.

    Raises:
        ValueError: If it is none of ours.
    """
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise ValueError("no such scheme")
    return kind


def nodes(parts: SplitResult) -> tuple[Node, ...]:
    """The hosts that the address names, in its order.

    Raises:
        ValueError: If one of them is none.
    """
    kind = kind_of(parts)
    default = DEFAULT_SENTINEL_PORT if kind == "sentinel" else DEFAULT_PORT
    where = parts.netloc.rpartition("@")[2]
    found = []
    # With a comma it is no host's name, as in `redis://a,b`.
    for text in [where] if kind == "server" else where.split(","):
        one = urlsplit(f"//{text}")
        if one.port == 0 or "," in (one.hostname or "") or (kind != "server" and not one.hostname):
            raise ValueError("not a host and a port")
        found.append((one.hostname or "localhost", one.port or default))
    return tuple(found)


def service(parts: SplitResult) -> str:
    """The name under which Sentinels know the master; empty where there is none."""
    path = _path(parts)
    return unquote(path[0]) if kind_of(parts) == "sentinel" and path else ""


def _path(parts: SplitResult) -> list[str]:
    return parts.path.strip("/").split("/") if parts.path.strip("/") else []


def query(parts: SplitResult) -> dict[str, str]:
    """What stands behind the question mark; of what stands there twice, the first."""
    return {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}


def sentinel_tls(parts: SplitResult) -> bool:
    """Whether Sentinels are spoken to by TLS.

    Raises:
        ValueError: If that is neither yes nor no.
    """
    text = query(parts).get("sentinel_tls", "no").lower()
    if text not in _YES_OR_NO:
        raise ValueError("neither yes nor no")
    return _YES_OR_NO[text]


def database(parts: SplitResult) -> int:
    """The database's number, as redis-py reads it: ``?db=`` before the path.

    Raises:
        ValueError: If it is not a number.
    """
    text = query(parts).get("db")
    if text is None:
        if parts.scheme == "unix":
            text = ""
        elif kind_of(parts) == "sentinel":
            text = "".join(_path(parts)[1:2])
        else:
            text = parts.path.strip("/")
    if text == "":
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database is not a number")
    return int(text)


# --- making addresses -------------------------------------------------------------------------------------


def with_parts(parts: SplitResult, username: str | None, password: str | None, db: int | None) -> str:
    """The URL of `parts` with those of the three that are not None put in."""
    options = query(parts)
    user = parts.username if username is None else quote(username, safe="")
    word = parts.password if password is None else quote(password, safe="")
    if username is not None:
        options.pop("username", None)
    if password is not None:
        options.pop("password", None)
    where = _with_login(user, word, parts.netloc.rpartition("@")[2])
    path = parts.path
    if db is not None:
        options.pop("db", None)
        if parts.scheme == "unix":
            options["db"] = str(db)
        else:
            path = "/".join(["", *_path(parts)[:1], str(db)]) if service(parts) else f"/{db}"
    return _joined(parts.scheme, where, path, options)


def server_url(parts: SplitResult, node: Node) -> str:
    """The address of one server there, for redis-py: the master that was found, or a node of the cluster."""
    scheme = parts.scheme.partition("+")[0]
    options = {name: value for name, value in query(parts).items() if name not in _SENTINEL_OPTIONS}
    options["db"] = str(database(parts))
    return _joined(scheme, _with_login(parts.username, parts.password, place(node)), "", options)


def sentinel_url(parts: SplitResult, node: Node) -> str:
    """The address of one Sentinel, for redis-py."""
    options = query(parts)
    tls = sentinel_tls(parts)
    user, word = (options.get(f"sentinel_{name}") for name in ("username", "password"))
    login = (quote(user, safe="") if user else None, None if word is None else quote(word, safe=""))
    kept = {name: value for name, value in options.items() if tls and name.startswith("ssl_")}
    return _joined("rediss" if tls else "redis", _with_login(*login, place(node)), "", kept)


def place(node: Node) -> str:
    """Host and port as they stand in an address."""
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_login(user: str | None, word: str | None, where: str) -> str:
    """`where` after a login; user and password are percent-encoded."""
    if word is not None:
        return f"{user or ''}:{word}@{where}"
    return f"{user}@{where}" if user else where


def _joined(scheme: str, where: str, path: str, options: dict[str, str]) -> str:
    return f"{scheme}://{where}{path}{f'?{urlencode(options)}' if options else ''}"


def without_password(url: str) -> str:
    """`url` for the eyes of everyone, even if it is no address at all."""
    try:
        parts = urlsplit(url)
        options = query(parts)
    except ValueError:
        return "<not an address>"
    if not parts.scheme or ("@" in url and "@" not in parts.netloc):
        # Something is out of place, and the part that we would blot out may not be the password.
        return "<not an address>" if "@" in url or "password" in url else url
    login, at, where = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    shown = f"{user}{':***' if colon else ''}{at}{where}"
    secrets = [name for name in options if "password" in name]
    if secrets:
        hidden = urlencode({**options, **dict.fromkeys(secrets, "***")}, safe="*")
        return f"{parts.scheme}://{shown}{parts.path}?{hidden}"
    return f"{parts.scheme}://{shown}{parts.path}{'?' if parts.query else ''}{parts.query}"
