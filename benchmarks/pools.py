"""Pools of workers for benchmarks: R's own and ours, each started, waited for and ended here."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator

import redis

QUEUE = "BENCH"


def run_r(program: str) -> dict[str, float]:
    """Run an R program; the figures that it prints last, as one JSON object."""
    with tempfile.NamedTemporaryFile("w", suffix=".R") as file:
        file.write(program)
        file.flush()
        done = subprocess.run(["Rscript", file.name], capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


@contextlib.contextmanager
def r_workers(port: int, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """R processes with doRedis's redisWorker()."""
    program = f"library(doRedis); redisWorker('{QUEUE}', port = {port}, linger = 1)"
    with _pool([["Rscript", "-e", program]] * number, port, number) as processes:
        yield processes


@contextlib.contextmanager
def our_workers(port: int, number: int, engine: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One `pydoredis worker` with so many executors; `engine` is `rpy2`, `rscript` or `cloudpickle`."""
    codec = ["--codec", engine] if engine == "cloudpickle" else ["--codec", "r", "--r-engine", engine]
    command = [
        *(sys.executable, "-m", "pydoredis", "worker", "--queue", QUEUE, *codec),
        *("--workers", str(number), "--port", str(port), "--host", "127.0.0.1"),
        *("--linger", "1", "--loglevel", "WARNING"),
    ]
    with _pool([command], port, number) as processes:
        yield processes


def end(processes: Collection[subprocess.Popen[bytes]], timeout_s: float) -> None:
    """Tell processes to end, and wait for them.

    Raises:
        subprocess.TimeoutExpired: If one of them takes longer than that.
    """
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout_s)


@contextlib.contextmanager
def _pool(commands: list[list[str]], port: int, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    with redis.Redis(port=port) as client:
        client.flushall()
        processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
        try:
            deadline = time.monotonic() + 60
            while int(client.get(f"{QUEUE}.count") or 0) < number:
                if time.monotonic() > deadline:
                    raise SystemExit(f"workers did not start: {commands[0]}")
                time.sleep(0.01)
            yield processes
        finally:
            end(processes, 30)
