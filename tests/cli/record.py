"""Records what R's doRedis writes for `pydoredis/demo/pi.R`: `python -m tests.cli.record`.

The coordinator runs on a server without workers; what it put there is the recording. The job ID names a user
and a machine, which are nobody's business; another one takes its place.
"""

from __future__ import annotations

import subprocess
from importlib import resources
from typing import cast

from benchmarks.feeding import rename
from pydoredis.demo import jobs, recording
from pydoredis.demo.pool import QUEUE
from pydoredis.server import EmbeddedServer
from tests.conftest import R_PEER_PACKAGES, wait_until
from tests.peers.processes import clean_environment

JOB = "1_demo_localhost_2026-01-01-00:00:00.000"

VERSIONS = """
for (name in c({})) cat(name, "\\t", as.character(packageVersion(name)), "\\n", sep = "")
"""


def record(tasks: int = jobs.TASKS) -> recording.Recording:
    """Run the R coordinator until all its tasks are on the queue."""
    program = resources.files("pydoredis.demo").joinpath("pi.R")
    with EmbeddedServer() as server, server.client() as client:
        command = ["Rscript", str(program), server.host, str(server.port), QUEUE.queue, str(tasks)]
        environ = {**clean_environment(), "PYDOREDIS_PASSWORD": server.password}
        with subprocess.Popen([*command, str(jobs.POINTS)], env=environ) as coordinator:
            try:
                wait_until(lambda: client.llen(QUEUE.queue) == tasks, "all tasks are submitted", 60)
                (key,) = cast("list[bytes]", list(client.scan_iter(match=QUEUE.env("*"))))
                environment = cast("bytes", client.get(key))
                payloads = cast("list[bytes]", client.lrange(QUEUE.queue, 0, -1))
            finally:
                coordinator.kill()
    job = key.removeprefix(QUEUE.env("").encode())
    renamed = tuple(rename(payload, job, JOB.encode()) for payload in payloads)
    return recording.Recording(versions(), jobs.POINTS, JOB, environment, renamed)


def versions() -> dict[str, str]:
    """Versions of R (its package base) and of the packages that take part."""
    names = ("base", *R_PEER_PACKAGES)
    program = VERSIONS.format(", ".join(f'"{name}"' for name in names))
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    return dict(line.split("\t") for line in done.stdout.splitlines())


if __name__ == "__main__":
    with resources.as_file(resources.files("pydoredis.demo").joinpath(recording.NAME)) as path:
        path.write_bytes(record().to_bytes())
