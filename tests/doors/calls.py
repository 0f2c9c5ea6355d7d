"""Functions that tests of joblib's backend call on workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed


def square(x: int) -> int:
    """Its square."""
    return x * x


def fail_at(x: int, where: int) -> int:
    """`x`, but for one of which it is a ValueError."""
    if x == where:
        raise ValueError(f"not {x}")
    return x


def about(data: Any, number: int) -> tuple[int, float, bool]:
    """A number, the sum of an array, and whether it can be written to."""
    return number, float(data.sum()), bool(data.flags.writeable)


def total(data: Any, number: int) -> float:
    """A sum."""
    return float(np.asarray(data).sum()) + number


def set_first(data: Any, number: int) -> float:
    """Change an array; its first element before."""
    before = float(data[0])
    data[0] = number
    return before


def nested(n: int) -> tuple[str, list[int]]:
    """The backend of calls within a call, and their values."""
    inner = Parallel(n_jobs=2)
    return type(inner._backend).__name__, inner(delayed(square)(i) for i in range(n))


def wait_for(path: str) -> int:
    """Wait until a file is there; the number of the process."""
    Path(f"{path}.{os.getpid()}").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


def note_interrupt(directory: str, number: int) -> None:
    """Run until interrupted, and leave a note of that."""
    Path(directory, f"began-{number}").touch()
    try:
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        Path(directory, f"interrupted-{number}").touch()
        raise


def die_once(directory: str, number: int) -> int:
    """End the worker process, the first time that this number comes."""
    try:
        Path(directory, str(number)).touch(exist_ok=False)
    except FileExistsError:
        return number * number
    os.kill(os.getpid(), signal.SIGKILL)
    return -1


def die_at(x: int, where: int) -> int:
    """End the worker process for one of the numbers, each time."""
    if x == where:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
