"""The compiled helper under gcc's sanitizers, on recordings damaged at random.

    python -m tests.rinterop.sanitize [--seconds 60] [--seed 1]

Builds rinterop._speed with -fsanitize=address,undefined in a temporary directory and gives it damaged
streams: reading beyond the input, overflow or a use after free end the run. Every fourth stream goes to the
Python code, too, and both must be of one mind. The whole corpus is used where PYDOREDIS_GOLDEN names its
directory.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np

import rinterop
from rinterop import DecodeError, RValue
from rinterop.serialize import Outline, outline, read_header, speed, walk
from rinterop.serialize.speed import Compiled
from tests.rinterop.recordings import golden, recordings

SOURCES = Path(rinterop.__file__).parent.parent / "csrc"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
MAX_DEPTH = 2000
WORDS = (
    *(-1, -2, 2**31 - 1, -(2**31), 2**20, 0x1FF, 0x2FF, 0x200, 0x209, 0x313, 0x402, 0x40009, 0x8009),
    *range(26),
    *range(238, 256),
)


def build(target: Path) -> None:
    """Compile the helper with the sanitizers."""
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{np.get_include()}"]
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-g",
        "-std=c11",
        "-fvisibility=hidden",
        *SANITIZERS,
        *includes,
        *sources,
    ]
    subprocess.run([*command, "-o", str(target)], check=True)


def run_apart(target: Path, seconds: float, seed: int) -> int:
    """The loop in a process that has the sanitizers' libraries loaded before Python; its exit code."""
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(name.strip() for name in libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python itself never frees some things; tests count ours
        "PYTHONMALLOC": "malloc",  # each object a block of its own, with guards around it
        "RINTEROP_PURE": "1",
    }
    command = [sys.executable, "-m", "tests.rinterop.sanitize", "--helper", str(target)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    return subprocess.run(command, env=environment, check=False).returncode


def load(target: Path) -> Compiled:
    """The helper just built."""
    spec = importlib.util.spec_from_file_location("rinterop._speed", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def damaged(data: bytes, other: bytes, random_: random.Random) -> bytes:
    """`data` with one to four changes, some of which take pieces of `other`."""
    out = bytearray(data)
    order: Literal["little", "big"] = "little" if data[:1] == b"B" else "big"
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        place = random_.randrange(len(out) + 1)
        # Numbers stand at places that leave the same remainder as the first one, mostly.
        aligned = max(2, (place - 2) // 4 * 4 + 2 + (random_.random() < 0.1))
        match random_.randrange(6):
            case 0:
                del out[place:]
            case 1:
                out[place : place + 1] = bytes([random_.randrange(256)])
            case 2:
                out[aligned : aligned + 4] = (random_.choice(WORDS) & 0xFFFF_FFFF).to_bytes(4, order)
            case 3:
                del out[place : place + random_.choice((1, 4, 8, 40))]
            case 4:
                out[place:place] = out[place : place + random_.choice((4, 8, 40, 100))]
            case 5:
                start = random_.randrange(len(other))
                piece = other[start : start + random_.choice((4, 8, 40, 100))]
                out[place : place + random_.choice((0, 4, 40))] = piece
    return bytes(out)


def use(helper: Compiled, data: bytes) -> tuple[RValue | None, bool, Outline | None]:
    """All that the helper does, on one stream."""
    value = helper.loads(data, True, MAX_DEPTH)
    if value is not None:
        header = read_header(data)
        size = 14 if header.encoding is None else 18 + len(header.encoding)
        helper.dumps(value, data[:size], header.version)
    return value, bool(helper.walk(data, MAX_DEPTH)), helper.outline(data, 2, MAX_DEPTH, Outline)


def in_python(data: bytes) -> tuple[RValue | None, bool, Outline | None]:
    """The same without the helper."""
    value, sound, shape = None, False, None
    with suppress(DecodeError):
        value = rinterop.loads(data, mmap="keep", max_depth=MAX_DEPTH)
    with suppress(DecodeError):
        walk(data, max_depth=MAX_DEPTH)
        sound = True
    with suppress(DecodeError):
        shape = outline(data, max_depth=MAX_DEPTH)
    return value, sound, shape


def loop(helper: Compiled, seconds: float, seed: int) -> int:
    """Damage and use streams for some time; 1 if the two ever disagree."""
    assert speed.compiled is None
    folders = golden()
    found = [one for folder in folders for one in recordings(folder)] if folders else recordings()
    seeds = [
        one.read() for one in found if not one.form.startswith("ascii") and one.path.stat().st_size < 5000
    ]
    random_ = random.Random(seed)
    count = readable = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = damaged(random_.choice(seeds), random_.choice(seeds), random_)
        value, sound, shape = use(helper, data)
        count += 1
        readable += value is not None
        if count % 4:
            continue
        expected = in_python(data)
        # An outline may be left to Python: names come in many forms.
        if (value, sound) != expected[:2] or shape not in (None, expected[2]):
            print(f"seed {seed}, stream {count}: the helper and Python disagree\n{data!r}")
            return 1
        if value is not None and helper.dumps(value, b"X\n", 3) != written_in_python(value):
            print(f"seed {seed}, stream {count}: written differently\n{data!r}")
            return 1
    print(f"{count} damaged streams, {readable} of them readable; seed {seed}, {len(seeds)} recordings")
    return 0


def written_in_python(value: RValue) -> bytes:
    """The bytes without the header."""
    return b"X\n" + rinterop.dumps(value)[23:]


def main() -> int:
    """Build, and run the loop in another process; or be that process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--helper", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.helper:
        return loop(load(options.helper), options.seconds, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"_speed{sysconfig.get_config_var('EXT_SUFFIX')}"
        build(target)
        return run_apart(target, options.seconds, options.seed)


if __name__ == "__main__":
    sys.exit(main())
