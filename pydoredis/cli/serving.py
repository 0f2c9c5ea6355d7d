"""What commands that listen for browsers and scrapers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pydoredis.errors import StoreUnavailable
from pydoredis.settings.addresses import place

if TYPE_CHECKING:
    from pydoredis.telemetry import Telemetry


def look_once(telemetry: Telemetry, queue: str | None) -> None:
    """Look at the server before anybody asks: what is wrong with the command is said at once.

    That Redis is away is said, too, and is no reason to end.

    Raises:
        ConfigError: If there is nothing of such a queue.
    """
    try:
        telemetry.snapshot(queue)
    except StoreUnavailable as error:
        typer.echo(f"pydoredis: {error}; going on without it", err=True)


def say_address(bind: str, port: int, path: str) -> None:
    """Print where it is."""
    typer.echo(f"http://{place((bind, port))}{path}")
