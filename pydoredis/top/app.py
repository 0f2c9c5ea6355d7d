"""The live view of `pydoredis top`: tables that are drawn anew every few seconds, and keys."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Label, Static, TabbedContent, TabPane

from pydoredis.errors import DoRedisError, StoreUnavailable
from pydoredis.snapshots import Snapshot
from pydoredis.telemetry import Telemetry
from pydoredis.top.grids import Grid, Pace, grids, server_line

TABS = ("jobs", "agents", "running", "warnings")

MOST_ROWS = 500
"""How many rows of a table are shown, at most: they are drawn anew each time."""


class Ask(ModalScreen[bool]):
    """A question before something is done.

    Args:
        question: What to ask.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "dismiss(True)", "yes"),
        ("n,escape", "dismiss(False)", "no"),
    ]
    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 80%; max-width: 100; height: auto; border: thick $warning; padding: 1 2; }
    Ask Label { width: 100%; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(self._question, markup=False)
            yield Label("y: yes    n: no")


class Top(App[None]):
    """Shows a server again and again.

    Args:
        telemetry: Looks at it.
        queue: Only this queue; None: all.
        interval_s: Seconds between two looks.

    Attributes:
        snapshot: The last look.
    """

    TITLE = "pydoredis top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        ("r", "look", "look now"),
        ("c", "cancel_job", "cancel job"),
        ("d", "drain", "have agent leave"),
        *(Binding(str(place), f"tab('{name}')", show=False) for place, name in enumerate(TABS, start=1)),
    ]
    DEFAULT_CSS = """
    #server { height: auto; padding: 0 1; background: $panel; }
    #queues { height: auto; max-height: 40%; }
    TabbedContent, TabPane { height: 1fr; padding: 0; }
    """

    def __init__(self, telemetry: Telemetry, queue: str | None = None, interval_s: float = 2.0) -> None:
        super().__init__()
        self.snapshot: Snapshot | None = None
        self._telemetry = telemetry
        self._queue = queue
        self._interval_s = interval_s
        self._connection = threading.Lock()  # it is for one thread at a time
        self._pace = Pace()
        self._grids: Mapping[str, Grid] = {}

    def compose(self) -> ComposeResult:
        yield Static("looking …", id="server", markup=False)
        yield DataTable(id="queues", cursor_type="row")
        with TabbedContent():
            for name in TABS:
                with TabPane(name, id=f"tab-{name}"):
                    yield DataTable(id=name, cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Look, now and from now on."""
        self._table("jobs").focus()
        self.action_look()
        self.set_interval(self._interval_s, self.action_look)

    # --- looking ------------------------------------------------------------------------------------------

    @work(thread=True)
    def action_look(self) -> None:
        """Look at the server, unless somebody does just now."""
        if not self._connection.acquire(blocking=False):
            return
        try:
            snapshot = self._telemetry.snapshot(self._queue)
        except DoRedisError as error:
            self.call_from_thread(self._say, str(error))
            return
        finally:
            self._connection.release()
        self.call_from_thread(self.show, snapshot)

    def _say(self, text: str) -> None:
        self.query_one("#server", Static).update(Text(text, style="bold red"))

    def show(self, snapshot: Snapshot) -> None:
        """Draw what was seen."""
        self.snapshot = snapshot
        self._pace.see(snapshot)
        self.query_one("#server", Static).update(Text(server_line(snapshot.server, snapshot.time)))
        before, self._grids = (
            self._grids,
            {grid.title: grid for grid in grids(snapshot, self._pace, MOST_ROWS)},
        )
        for title, grid in self._grids.items():
            self._draw(self._table(title), grid, before.get(title))
            if title in TABS:
                tab = self.query_one(TabbedContent).get_tab(f"tab-{title}")
                tab.label = f"{TABS.index(title) + 1} {title}: {len(grid.rows) + grid.left_out:,}"

    def _table(self, title: str) -> DataTable[Text]:
        return self.query_one(f"#{title}", DataTable)

    def _draw(self, table: DataTable[Text], grid: Grid, before: Grid | None) -> None:
        """Fill a table; the cursor stays at what it was at."""
        if before is None:
            for name in grid.columns:
                table.add_column(_cell(name.lstrip(">"), name))
        row, scrolled = table.cursor_row, table.scroll_y
        if before is not None and row < len(before.keys) and before.keys[row] in grid.keys:
            row = list(grid.keys).index(before.keys[row])
        table.clear()
        for cells in grid.rows:
            aligned = zip(cells, grid.columns, strict=True)
            # As text: a queue's name may look like markup.
            table.add_row(
                *(Text(cell, justify="right" if name[0] == ">" else "left") for cell, name in aligned)
            )
        table.move_cursor(row=min(row, max(0, len(grid.rows) - 1)), scroll=False)
        table.scroll_to(y=scrolled, animate=False)

    # --- keys ---------------------------------------------------------------------------------------------

    def action_tab(self, name: str) -> None:
        """Go to one of the tables."""
        self.query_one(TabbedContent).active = f"tab-{name}"
        self.call_after_refresh(self._table(name).focus)

    def _chosen(self, *titles: str) -> object | None:
        """What the row is about at which the cursor is, in one of these tables; None elsewhere."""
        focused = self.focused
        title = focused.id if isinstance(focused, DataTable) else None
        if title is None:
            title = self.query_one(TabbedContent).active.removeprefix("tab-")
        grid = self._grids.get(title)
        if title not in titles or grid is None or not grid.keys:
            return None
        return grid.keys[min(self._table(title).cursor_row, len(grid.keys) - 1)]

    def action_cancel_job(self) -> None:
        """Cancel the job at the cursor."""
        chosen = self._chosen("jobs", "running")
        if not isinstance(chosen, tuple):
            self.notify("go to a job first: in the table of jobs or of what is running", markup=False)
            return
        queue, job = chosen

        def remove() -> str:
            removal = self._telemetry.remove_job(job, queue)
            return f"removed job {job}: {removal.tasks} waiting tasks, {removal.running} were running"

        note = "An R coordinator would submit its tasks again: end it first."
        self._ask(f"Cancel job {job} of queue {queue}? {note}", remove)

    def action_drain(self) -> None:
        """Have the agent at the cursor leave."""
        chosen = self._chosen("agents")
        found = [row for row in self.snapshot.agents if row.agent == chosen] if self.snapshot else []
        if not found:
            self.notify("go to an agent first: in the table of agents", markup=False)
            return
        agent = found[0]

        def drain() -> str:
            self._telemetry.drain(agent.agent, agent.queues[0])
            return f"the agent {agent.pid} on {agent.host} leaves within seconds"

        note = "It finishes what runs and gives back the rest; what has started it may start it again."
        self._ask(f"Have the agent {agent.pid} on {agent.host} leave? {note}", drain)

    def _ask(self, question: str, do: Callable[[], str]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._carry_out(do)

        self.push_screen(Ask(question), answered)

    @work(thread=True)
    def _carry_out(self, do: Callable[[], str]) -> None:
        try:
            with self._connection:
                told, severity = do(), "information"
        except StoreUnavailable as error:
            told, severity = f"{error}; try again", "error"
        except DoRedisError as error:
            told, severity = str(error), "error"
        self.call_from_thread(self.notify, told, severity=severity, markup=False)
        self.action_look()


def _cell(text: str, column: str) -> Text:
    return Text(text, justify="right" if column[0] == ">" else "left")
