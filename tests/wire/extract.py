"""Make replayable recordings from full transcripts of R's doRedis.

    python -m tests.wire.extract GOLDEN_DIR [--into DIR] [--longest SECONDS] [--largest BYTES]

GOLDEN_DIR holds a directory per scenario with `transcript.jsonl` (one line per message; `conn`, `ev`, `name`,
`argv` in base64, `value`) and `meta.json`. The rules are the same for all scenarios:

- What coordinators, other sessions and strange clients wrote is replayed in the recorded order: SET, DEL, and
  RPUSH to a queue. Keys that belong to workers or to the life of the queue (start, alive, out, live, count)
  are left to the worker under test, or to tests of their own.
- A task is replayed, once, if a recorded worker published its result. What a coordinator submits again is
  left out, since nobody loses tasks in the replay; so are tasks whose recorded result tells of a fault of R's
  worker, and those that ran longer than `--longest`.
- A task without iterations, and one of a job whose environment was deleted before, must not be answered.
- Whatever is not a task must be kept aside.

It needs R (base) to look into the payloads.
"""

from __future__ import annotations

import argparse
import base64
import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.wire.recording import DATA, RecordedTask, Recording, Step

# Packages that do not come with R itself, as far as the recordings use any.
OTHER_PACKAGES = ("doRedis", "boot")


@dataclass(frozen=True, slots=True)
class Command:
    """One command that the server accepted; `reply` is its answer as the transcript has it."""

    t: float
    conn: int
    kind: str
    name: str
    argv: tuple[bytes, ...]
    reply: Any


@dataclass(frozen=True, slots=True)
class Payload:
    """What R says of the bytes (see payloads.R)."""

    kind: str
    job: str
    iterations: str
    fault: str


def commands(directory: Path, kinds: dict[int, str]) -> list[Command]:
    """All commands in the order in which they were sent, with their replies."""
    sent: dict[tuple[int, int], dict[str, Any]] = {}
    for line in (directory / "transcript.jsonl").read_text().splitlines():
        message = json.loads(line)
        if message["ev"] == "cmd":
            sent[message["conn"], message["n"]] = {**message, "reply": None}
        elif message["ev"] == "reply" and (message["conn"], message["n"]) in sent:
            sent[message["conn"], message["n"]]["reply"] = message["value"]
    return [
        Command(
            m["t"],
            m["conn"],
            kinds.get(m["conn"], ""),
            m["name"].upper(),
            tuple(base64.b64decode(argument) for argument in m["argv"][1:]),
            m["reply"],
        )
        for m in sent.values()
        if m["reply"] is not None and "error" not in m["reply"]
    ]


def describe(payloads: list[bytes]) -> dict[bytes, Payload]:
    """What R says of each of them; one R process for all."""
    unique = list(dict.fromkeys(payloads))
    with tempfile.NamedTemporaryFile() as file:
        for payload in unique:
            file.write(struct.pack(">i", len(payload)) + payload)
        file.flush()
        program = Path(__file__).with_name("payloads.R")
        done = subprocess.run(
            ["Rscript", str(program), file.name], capture_output=True, text=True, check=True
        )
    lines = done.stdout.splitlines()
    assert len(lines) == len(unique), done.stderr
    return {payload: Payload(*line.split("\t")) for payload, line in zip(unique, lines, strict=True)}


@dataclass
class Extraction:
    """Walks through the commands of one scenario and collects the steps."""

    scenario: str
    queues: tuple[str, ...]
    log: list[Command]
    payloads: dict[bytes, Payload]
    longest_s: float
    steps: list[Step] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.results: dict[tuple[str, str], tuple[bytes, float]] = {}
        self.faults: dict[tuple[str, str], str] = {}
        self.seen: set[tuple[str, str]] = set()
        self.over: set[str] = set()
        self._read_results()
        for command in self.log:
            if command.kind != "worker" and command.kind != "liveness":
                self._take(command)

    def _read_results(self) -> None:
        began: dict[int, float] = {}
        for command in self.log:
            if command.kind != "worker":
                continue
            if command.name == "SET" and self._role(command.argv[0].decode()) == "start":
                began[command.conn] = command.t
            elif command.name == "LPUSH":
                payload = self.payloads[command.argv[1]]
                block = (self._job(command.argv[0].decode()), payload.iterations)
                if payload.fault:
                    self.faults[block] = payload.fault
                elif payload.iterations and block not in self.results:
                    took = command.t - began.get(command.conn, command.t)
                    self.results[block] = (command.argv[1], round(took, 3))

    def _take(self, command: Command) -> None:
        if command.name not in ("SET", "DEL", "RPUSH", "LPUSH"):
            return
        keys = command.argv if command.name == "DEL" else command.argv[:1]
        for key in (raw.decode() for raw in keys):
            role = self._role(key)
            if command.name in ("RPUSH", "LPUSH") and role == "queue":
                self._push(key, [self._task(payload, command.kind) for payload in command.argv[1:]])
            elif role not in ("env", "other"):
                continue
            elif command.name == "SET":
                # Whether a stranger's write to a job environment comes before a worker's read is chance.
                if role == "other" or command.kind != "fake":
                    self.steps.append(Step("set", key, value=command.argv[1], job=self._job(key)))
                    self.over.discard(self._job(key))
            elif command.name == "DEL":
                job = self._job(key)
                self.over.add(job)
                self.steps.append(Step("finish" if job else "delete", key, job=job))

    def _task(self, payload: bytes, kind: str) -> RecordedTask | None:
        about = self.payloads[payload]
        block = (about.job, about.iterations)
        text = f"{about.job}: iterations {about.iterations}"
        if about.kind != "task":
            return RecordedTask(payload, "kept")
        if not about.iterations or about.job in self.over or kind != "coordinator":
            return RecordedTask(payload, "nothing", *block)
        if block in self.seen:
            return None
        self.seen.add(block)
        if block not in self.results:
            self.left_out.append(f"{text}: {self.faults.get(block, 'no result was recorded')}")
            return None
        result, seconds = self.results[block]
        if seconds > self.longest_s:
            self.left_out.append(f"{text}: takes {seconds:.0f} s")
            return None
        return RecordedTask(payload, "result", *block, result, seconds)

    def _push(self, key: str, tasks: list[RecordedTask | None]) -> None:
        wanted = tuple(task for task in tasks if task is not None)
        last = self.steps[-1] if self.steps else None
        if wanted and last is not None and last.do == "push" and last.key == key:
            self.steps[-1] = replace(last, tasks=last.tasks + wanted)
        elif wanted:
            self.steps.append(Step("push", key, tasks=wanted))

    def _role(self, key: str) -> str:
        """queue, live, count, env, out, start or alive; `other` for keys of users."""
        if key in self.queues:
            return "queue"
        for queue in self.queues:
            part = key.removeprefix(f"{queue}.")
            name = part.split(".", 1)[0]
            if part != key and name in ("live", "count", "env", "out", "start", "alive"):
                return name
        return "other"

    def _job(self, key: str) -> str:
        """The job that an `env` or `out` key belongs to."""
        if self._role(key) not in ("env", "out"):
            return ""
        queue = next(queue for queue in self.queues if key.startswith(f"{queue}."))
        return key.removeprefix(f"{queue}.").split(".", 1)[1]


def extract(directory: Path, longest_s: float) -> Recording:
    """The recording of one scenario."""
    meta = json.loads((directory / "meta.json").read_text())
    kinds = {entry["conn"]: entry["kind"] for entry in meta["connections"]}
    log = commands(directory, kinds)
    queues = tuple(
        dict.fromkeys(
            q.decode() for c in log if c.kind == "worker" and c.name == "BLPOP" for q in c.argv[:-1]
        )
    )
    pushed = [p for c in log if c.name in ("RPUSH", "LPUSH") for p in c.argv[1:]]
    found = Extraction(directory.name, queues, log, describe(pushed), longest_s)
    stored = b"".join(step.value for step in found.steps)
    return Recording(
        scenario=directory.name,
        about=meta["about"],
        queues=queues,
        password=bool(meta.get("password")),
        packages=tuple(name for name in OTHER_PACKAGES if name.encode() in stored),
        steps=tuple(found.steps),
        left_out=tuple(found.left_out),
        workers=tuple(meta["workers"].values()),
        versions={name: meta["versions"][name] for name in ("R", "doRedis")},
    )


def scenarios(golden: Path) -> Iterator[Path]:
    """The scenario directories in `golden`."""
    return (path.parent for path in sorted(golden.glob("*/transcript.jsonl")))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("golden", type=Path)
    parser.add_argument("--into", type=Path, default=DATA)
    parser.add_argument(
        "--longest", type=float, default=8.0, help="leave out tasks that ran longer (seconds)"
    )
    parser.add_argument("--largest", type=int, default=10**6, help="write no file larger than this (bytes)")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    for directory in scenarios(options.golden):
        recording = extract(directory, options.longest)
        path = options.into / f"{recording.scenario}.json.gz"
        recording.save(path)
        counts = ", ".join(f"{len(recording.expects(kind))} {kind}" for kind in ("result", "nothing", "kept"))
        size = path.stat().st_size
        if size > options.largest:
            path.unlink()
        print(f"{recording.scenario:24} {size:8}{' NOT KEPT' if size > options.largest else ''}  {counts}")
        for line in recording.left_out:
            print(f"{'':34}left out: {line}")


if __name__ == "__main__":
    main()
