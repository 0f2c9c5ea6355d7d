"""Which Redis is meant when none is named: that of the registered queue, else what the settings say."""

from __future__ import annotations

from pydoredis.settings import ConnectionSettings

_connection: ConnectionSettings | None = None


def set_connection(connection: ConnectionSettings | None) -> None:
    """Mean this server from now on; None: what the settings say."""
    global _connection
    _connection = connection


def connection_or_default(connection: ConnectionSettings | None = None) -> ConnectionSettings:
    """`connection` if it is given, else the one that is meant.

    Raises:
        ConfigError: If the settings make no sense.
    """
    return connection or _connection or ConnectionSettings.load()
