"""How far a loop is: a bar in terminals and notebooks, or a function of the program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

Report = Callable[[int, "int | None"], None]

MIN_INTERVAL_S = 0.1
"""Seconds between two updates of a bar."""


@contextmanager
def reporter(progress: bool | Report, total: int | None) -> Iterator[Report | None]:
    """What a job reports its progress to: the program's function, a bar, or nothing.

    A bar is drawn on standard error, and only if that is a terminal or the program is a notebook.
    """
    if callable(progress):
        yield progress
    elif (console := _console(progress)) is not None:
        with _bar(console, total) as report:
            yield report
    else:
        yield None


@contextmanager
def transfer(progress: bool | Report) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for what is sent before a job begins; called with how many bytes were sent, and of how many.

    The program's own function is about iterations: it is told nothing of this.
    """
    console = None if callable(progress) else _console(progress)
    if console is None:
        yield None
        return
    text = TextColumn("exports")
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", visible=False)
        yield lambda sent, of: bar.update(task, completed=sent, total=of, visible=True)


def _console(progress: bool) -> Console | None:
    """Where bars are drawn, if they are."""
    if not progress:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal or console.is_jupyter else None


@contextmanager
def _bar(console: Console, total: int | None) -> Iterator[Report]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("", total=total, rate="")
        began_s = time.monotonic()
        shown_s = 0.0

        def report(done: int, of: int | None) -> None:
            nonlocal shown_s
            now_s = time.monotonic()
            if now_s - shown_s >= MIN_INTERVAL_S or done == of:
                shown_s = now_s
                rate = f"{done / max(now_s - began_s, 1e-9):,.0f}/s"
                bar.update(task, completed=done, total=of, rate=rate)

        yield report
