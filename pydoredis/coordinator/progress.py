"""How far a loop is: a bar in terminals and notebooks, or a function of the program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.jupyter import JupyterMixin
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

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
    with _kind(console)(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", visible=False)
        yield lambda sent, of: bar.update(task, completed=sent, total=of, visible=True)


class _InNotebook(Progress):
    """A bar in the output of a cell, drawn by whoever updates it.

    Rich itself draws in a widget, from a thread. It needs ipywidgets, and the widget shows nothing or fails
    if the notebook's event loop handles a message about the same widget at that moment, as it does during an
    `await`.
    """

    _cell: Any = None
    _drawn_s = 0.0

    def start(self) -> None:
        """Nothing is drawn before the first update."""

    def update(self, *arguments: Any, **changes: Any) -> None:
        super().update(*arguments, **changes)
        if time.monotonic() - self._drawn_s >= MIN_INTERVAL_S:
            self.refresh()

    def refresh(self) -> None:
        self._drawn_s = time.monotonic()
        self._show(self.make_tasks_table(self.tasks))

    def stop(self) -> None:
        if not self.live.transient:
            self.refresh()
        elif self._cell is not None:
            self._show(Text())

    def _show(self, drawn: JupyterMixin) -> None:
        from IPython.display import display  # it is there, or this would not be a notebook

        if self._cell is None:
            self._cell = display(drawn, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._cell.update(drawn)


def _kind(console: Console) -> type[Progress]:
    return _InNotebook if console.is_jupyter else Progress


def _console(progress: bool) -> Console | None:
    """Where bars are drawn, if they are."""
    if not progress:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal or console.is_jupyter else None


@contextmanager
def _bar(console: Console, total: int | None) -> Iterator[Report]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with _kind(console)(*columns, console=console, transient=False) as bar:
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
