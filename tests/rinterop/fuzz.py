"""Recordings damaged at random: `python -m tests.rinterop.fuzz [--seconds 60] [--seed 1]`.

In every form and compression, as streams and as files. Anything but DecodeError is an escape, and ends the
run with the input in hexadecimal digits. The whole corpus is used where PYDOREDIS_GOLDEN names its directory.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import rinterop
from rinterop import DecodeError, ExpansionError
from rinterop.serialize import outline, walk
from rinterop.serialize.compression import compressed
from rinterop.values import deparse, identical
from tests.rinterop.recordings import DATA, golden, recordings
from tests.rinterop.test_files import COMPRESSIONS
from tests.rinterop.test_forms import FORMS
from tests.rinterop.test_malformed import WORDS

MAX_SIZE = 10_000_000


def seeds() -> list[bytes]:
    """Streams of all forms that are small enough to be read many times a second."""
    folders: list[Path] = golden() or [DATA]
    paths = {recording.path for folder in folders for recording in recordings(folder)}
    return sorted(path.read_bytes() for path in paths if path.stat().st_size < 5000)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to three things wrong."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(changed) or 1)
        number = chance.choice(WORDS)
        size = chance.choice([1, 4, 8, 40])
        match chance.randrange(6):
            case 0:
                del changed[place:]
            case 1:
                changed[place : place + 1] = bytes((chance.randrange(256),))
            case 2:
                changed[place : place + 4] = struct.pack(chance.choice("<>") + "i", number)
            case 3:
                changed[place : place + 4] = b"\n%d\n" % number
            case 4:
                del changed[place : place + size]
            case 5:
                changed[place:place] = changed[place : place + size]
    return bytes(changed)


def attempt(data: bytes) -> bool:
    """Let everything have a go at `data`; whether `loads` reads it."""
    for reader in (walk, outline, read_files):
        with suppress(DecodeError):
            reader(data)
    try:
        value = rinterop.loads(data)
    except DecodeError:
        return False
    repr(value)
    for form in FORMS:
        written = rinterop.dumps(value, form=form)
        again = rinterop.dumps(rinterop.loads(written), form=form)
        # The ascii form rounds the largest doubles to infinity.
        if form != "ascii" and again != written:
            raise AssertionError(f"{form} does not come back")
    with suppress(ExpansionError):  # compact, and huge
        deparse(value)
        identical(value, rinterop.loads(data))
    return True


def read_files(data: bytes) -> None:
    """As the content of both kinds of files."""
    for content in (data, b"RDX3\n" + data):
        for read in (rinterop.read_rds, rinterop.read_rda):
            with suppress(DecodeError):
                read(io.BytesIO(content), max_size=MAX_SIZE)


def main() -> int:
    """Run; 1 if something escaped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    streams = seeds()
    deadline = time.monotonic() + options.seconds
    count = readable = 0
    slowest = 0.0
    while time.monotonic() < deadline:
        data = chance.choice(streams)
        if chance.random() < 0.8:
            data = damaged(data, chance)
        if chance.random() < 0.2:
            data = compressed(data, chance.choice(COMPRESSIONS))
            data = damaged(data, chance) if chance.random() < 0.7 else data
        start = time.monotonic()
        try:
            readable += attempt(data)
        except Exception as error:
            print(f"after {count} inputs: {type(error).__name__}: {error}\n{data.hex()}")
            return 1
        slowest = max(slowest, time.monotonic() - start)
        count += 1
    print(f"{count} inputs, {readable} of them readable, no escape; the slowest took {slowest:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
