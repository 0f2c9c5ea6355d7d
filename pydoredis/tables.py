"""What administration reports: rows with names and types, and the tables that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

if TYPE_CHECKING:
    import pandas

JobState = Literal["open", "left over"]
TaskState = Literal["running", "lapsed", "ended"]
WorkerState = Literal["busy", "lapsed", "idle"]

Row = TypeVar("Row")

_DTYPES = {
    "int": "int64",
    "int | None": "Int64",
    "bool": "bool",
    "datetime": "datetime64[us]",
    "datetime | None": "datetime64[us]",
}
"""pandas types of fields, by their annotation; text, if it is not there."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job. The first five columns are those of R's `jobs()`.

    Attributes:
        queue: Its queue.
        id: Number of the coordinator's process.
        user: Who runs the coordinator.
        host: Where it runs.
        time: When the job was submitted, by the coordinator's clock and in its time zone.
        job: The whole ID.
        state: "open" while its environment is there; "left over" if tasks, start keys or results are all that
            is left of it.
        queued: Tasks that wait for a worker.
        queued_exact: Whether that is all; otherwise the queue is so long that only a part was looked at, and
            there may be more.
        running: Tasks that workers have taken.
        lapsed: Tasks that were taken by workers that do not say any more that they are alive.
        results: Result messages that wait for the coordinator.
        done: Tasks that pydoredis workers answered; what R workers answered, nobody counts. None if there is
            no record.
    """

    queue: str
    id: int
    user: str
    host: str
    time: datetime
    job: str
    state: JobState
    queued: int
    queued_exact: bool
    running: int
    lapsed: int
    results: int
    done: int | None


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task that a worker has taken. The first eight columns are those of R's `tasks()`.

    Attributes:
        queue: Its queue.
        id: Number of the coordinator's process.
        user: Who runs the coordinator.
        coordinator: Where that runs.
        time: When the worker took the task, by the worker's clock; None if it wrote no time.
        iter: First and last iteration, as `4...6`.
        host: Where the worker runs.
        pid: Number of the worker's process.
        job: The job's whole ID.
        state: "running"; "lapsed" if the worker does not say any more that it is alive, so that the task will
            be submitted again; "ended" if only the alive key is left, which outlives each task for some
            seconds (R's `tasks()` lists these too).
    """

    queue: str
    id: int
    user: str
    coordinator: str
    time: datetime | None
    iter: str
    host: str
    pid: int
    job: str
    state: TaskState


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker that has a task, the idle workers of an agent of ours, or R's, which can only be counted.

    Attributes:
        queue: The queue that it serves; a worker of several queues is counted on each.
        state: "busy"; "lapsed" if it does not say any more that it is alive; "idle".
        workers: How many workers the row stands for: 1, or the idle ones. Of R's that number is an estimate,
            as workers that died without a word stay counted.
        host: Where it runs; None for R's idle ones.
        pid: Number of its process; of idle ones of ours, that of their agent.
        job: ID of the job that it works on; None for idle ones, as are the next two.
        iter: First and last iteration of the task that it took first.
        time: When it took that task, by its own clock.
        tasks: How many tasks it has taken; more than one if it keeps some in stock.
        python: Version of its Python; None for R's workers.
        r: Version of its R; None for R's workers, and where ours run none.
    """

    queue: str
    state: WorkerState
    workers: int
    host: str | None = None
    pid: int | None = None
    job: str | None = None
    iter: str | None = None
    time: datetime | None = None
    tasks: int = 0
    python: str | None = None
    r: str | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed.

    Attributes:
        queue: From which queue.
        job: Which job; None for the whole queue.
        tasks: How many tasks were waiting.
        keys: How many keys there were.
        running: How many tasks workers were running. R workers push the results of theirs when they have
            them; removing once more takes these away.
    """

    queue: str
    job: str | None
    tasks: int
    keys: int
    running: int

    def __bool__(self) -> bool:
        """Whether there was anything."""
        return self.tasks > 0 or self.keys > 0


class Table(Sequence[Row], Generic[Row]):
    """Rows of one type, in order.

    Args:
        kind: The type of its rows, a dataclass.
        rows: The rows.
    """

    def __init__(self, kind: type[Row], rows: Sequence[Row] = ()) -> None:
        self.kind = kind
        self._rows = tuple(rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(field.name for field in fields(self.kind))  # type: ignore[arg-type]

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Table[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Table[Row]:
        if isinstance(index, slice):
            return Table(self.kind, self._rows[index])
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.kind is other.kind and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {row}" for row in self._rows)
        return f"<{len(self)} rows of {self.kind.__name__}>{lines}"

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [asdict(row) for row in self._rows]  # type: ignore[call-overload]

    def to_pandas(self) -> pandas.DataFrame:
        """The table as a data frame; its columns have the same types however many rows there are.

        Raises:
            ImportError: If pandas is not installed.
        """
        import pandas

        frame = pandas.DataFrame(self.to_dicts(), columns=list(self.columns))
        types = {field.name: str(field.type) for field in fields(self.kind)}  # type: ignore[arg-type]
        return frame.astype({name: _DTYPES.get(kind, "object") for name, kind in types.items()})
