"""A recorded scenario: what R coordinators wrote, and what R's own workers answered.

`extract.py` makes these files from full transcripts; the replay reads them. One gzip-compressed JSON file per
scenario in `tests/data/wire`, or in the directory that the environment variable PYDOREDIS_WIRE names.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).resolve().parent.parent / "data" / "wire"

Expect = Literal["result", "nothing", "kept"]


def directory() -> Path:
    """Where the extracted recordings are."""
    return Path(os.environ.get("PYDOREDIS_WIRE") or DATA)


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """One element of the queue.

    Attributes:
        payload: The bytes that were pushed.
        expect: `result`: the R worker's answer is `result`, and another worker must give the same.
            `nothing`: no worker should answer (an empty task, a task of a job that is over).
            `kept`: nobody can read it; it is put aside for a human.
        job: The job ID, "" when there is none.
        iterations: Names of the iterations, joined by commas.
        seconds: How long the R worker took.
    """

    payload: bytes
    expect: Expect
    job: str = ""
    iterations: str = ""
    result: bytes = b""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a coordinator (or a stranger) did to the database.

    `set`: `key` gets `value`. `delete`: `key` goes. `push`: `tasks` at the end of the list `key`, in one
    transaction. `finish`: `key` is the job environment of `job`; it goes once all results of the job arrived.
    """

    do: Literal["set", "delete", "push", "finish"]
    key: str
    value: bytes = b""
    job: str = ""
    tasks: tuple[RecordedTask, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One scenario.

    Attributes:
        queues: The queues that the recorded workers served, in order.
        password: Whether the server asked for one.
        packages: R packages a worker needs to read or to run it, besides those that come with R.
        steps: What to do, in order.
        left_out: Tasks that are not replayed, and why.
        workers: How the R workers were started.
        versions: Which programs were recorded.
    """

    scenario: str
    about: str
    queues: tuple[str, ...]
    password: bool
    packages: tuple[str, ...]
    steps: tuple[Step, ...]
    left_out: tuple[str, ...]
    workers: tuple[str, ...]
    versions: dict[str, str]

    @property
    def tasks(self) -> list[RecordedTask]:
        """All tasks in the order in which they were pushed."""
        return [task for step in self.steps for task in step.tasks]

    @property
    def jobs(self) -> list[str]:
        """The job IDs, in order of appearance."""
        return list(dict.fromkeys(task.job for task in self.tasks if task.job))

    @property
    def seconds(self) -> float:
        """How long one R worker took for all tasks."""
        return sum(task.seconds for task in self.tasks)

    def expects(self, kind: Expect) -> list[RecordedTask]:
        """The tasks of which this is expected."""
        return [task for task in self.tasks if task.expect == kind]

    def save(self, path: Path) -> None:
        """Write the file. Equal recordings give equal bytes: no time stamp, sorted names."""
        text = json.dumps(_plain(asdict(self)), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def load(path: Path) -> Recording:
    """Read a file that `Recording.save` wrote."""
    data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    steps = tuple(
        Step(**{**_typed(Step, step), "tasks": tuple(_typed_task(task) for task in step["tasks"])})
        for step in data.pop("steps")
    )
    plain: dict[str, Any] = {
        name: tuple(item) if isinstance(item, list) else item for name, item in data.items()
    }
    return Recording(steps=steps, **plain)


def load_all() -> dict[str, Recording]:
    """Every recording by the name of its scenario."""
    return {path.name.removesuffix(".json.gz"): load(path) for path in sorted(directory().glob("*.json.gz"))}


def _plain(value: Any) -> Any:
    """The same value without bytes and tuples."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _typed(kind: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of `kind` with bytes where the class has bytes."""
    binary = {field.name for field in fields(kind) if field.type in ("bytes", bytes)}
    return {name: base64.b64decode(value) if name in binary else value for name, value in data.items()}


def _typed_task(data: dict[str, Any]) -> RecordedTask:
    return RecordedTask(**_typed(RecordedTask, data))
