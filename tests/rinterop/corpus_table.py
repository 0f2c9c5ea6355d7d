"""The corpus in numbers: `PYDOREDIS_GOLDEN=/the/corpus python -m tests.rinterop.corpus_table`.

For each recording of R 4.2 and 4.6: is it read, do its bytes come back, does it survive `to_python` and
`to_r`, and does R find what we wrote identical to what it recorded.
Prints a table, and every exception by name.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import rinterop
from rinterop import RValue
from rinterop import values as v
from rinterop.serialize import read_header
from tests.rinterop.recordings import Recording, golden, recordings
from tests.rinterop.rscript import run_r
from tests.rinterop.test_forms import FORM_OF_RECORDING

CHECKS = ("read", "same bytes", "converted", "R says identical")


@dataclass
class Row:
    """What became of the recordings of one folder, form and version: failures by check."""

    count: int = 0
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def check(recording: Recording, row: Row) -> bytes | None:
    """Try all that needs no R. Returns what we wrote."""
    row.count += 1
    data = recording.read()
    form = FORM_OF_RECORDING[recording.form]
    try:
        value = rinterop.loads(data, mmap="keep")
    except rinterop.DecodeError as error:
        for name in CHECKS:
            row.failures[name].append(f"{recording.name}: {error}")
        return None
    written = rinterop.dumps(value, header=read_header(data), form=form)
    if written != data:
        row.failures["same bytes"].append(recording.name)
    try:
        again = rinterop.to_r(rinterop.to_python(value))
    except Exception as error:
        row.failures["converted"].append(f"{recording.name}: {type(error).__name__}: {error}")
    else:
        if not same(value, again):
            row.failures["converted"].append(f"{recording.name}: {value!r} became {again!r}"[:150])
    return written


def same(value: RValue, again: RValue) -> bool:
    """Whether they are identical for R; the same object where R's identical() does not look inside."""
    return v.identical(value, again) or value == again


def ask_r(pairs: list[tuple[Recording, bytes, Row]]) -> None:
    """Have R read what it recorded and what we wrote, and compare.

    Environments have no identity between two readings: where identical() says no, the bytes that R writes for
    both decide.
    """
    with tempfile.TemporaryDirectory() as folder:
        for index, (_, written, _) in enumerate(pairs):
            (Path(folder) / f"{index}").write_bytes(written)
        program = [
            "hook <- function(name) as.environment(list(name = name))",
            "read <- function(file) { con <- file(file, 'rb'); on.exit(close(con)); unserialize(con, hook) }",
            "bytes <- function(x) serialize(x, NULL)",
            "same <- function(theirs, ours) tryCatch({",
            "    x <- read(theirs); y <- read(ours)",
            "    if (identical(x, y)) 'identical'",
            "    else if (identical(bytes(x), bytes(y))) 'bytes' else 'differs'",
            "}, error = function(e) gsub('\\n', ' ', paste('error:', conditionMessage(e))))",
        ]
        program += [
            f"cat(same('{recording.path}', '{folder}/{index}'), '\\n', sep = '')"
            for index, (recording, _, _) in enumerate(pairs)
        ]
        answers = run_r(program, timeout_s=1000).splitlines()
    for (recording, _, row), answer in zip(pairs, answers, strict=True):
        row.failures["by bytes"] += [recording.name] * (answer == "bytes")
        if answer not in ("identical", "bytes"):
            row.failures["R says identical"].append(f"{recording.name}: {answer}")


def main() -> int:
    """Print the table; 1 if there is no corpus."""
    if not golden():
        print("PYDOREDIS_GOLDEN does not name the directory of the corpus", file=sys.stderr)
        return 1
    rows: dict[tuple[str, str, int], Row] = defaultdict(Row)
    pairs = []
    for folder in golden():
        for recording in recordings(folder):
            row = rows[folder.name, recording.form, recording.version]
            written = check(recording, row)
            if recording.name == "alt_mmap" and recording.version == 3:
                # It names a file on the machine that recorded it, and R would open whatever is there.
                row.failures["R says identical"].append(f"{recording.name}: R is not asked")
            elif written is not None:
                pairs.append((recording, written, row))
    ask_r(pairs)
    print("| corpus | form | version | objects | " + " | ".join(CHECKS) + " | of these by bytes |")
    print("| --- " * (len(CHECKS) + 5) + "|")
    for (folder_name, form, version), row in sorted(rows.items()):
        passed = [str(row.count - len(row.failures[name])) for name in CHECKS]
        by_bytes = len(row.failures["by bytes"])
        print(f"| {folder_name} | {form} | {version} | {row.count} | {' | '.join(passed)} | {by_bytes} |")
    exceptions = {(name, text) for row in rows.values() for name in CHECKS for text in row.failures[name]}
    for name, text in sorted(exceptions):
        print(f"not {name}: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
