"""What R's doRedis put into Redis when it ran `pi.R`: the coordinator's bytes, where there is no doRedis.

`tests/cli/record.py` makes the file.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from importlib import resources
from typing import Final

NAME: Final = "pi.json.gz"


@dataclass(frozen=True, slots=True)
class Recording:
    """One job of an R coordinator.

    Attributes:
        versions: Versions of R and of its packages that wrote it, by name.
        points: How many random points each task draws.
        job: The job ID that stands in the tasks.
        environment: Value of the job's environment key.
        tasks: What was pushed on the queue, in order.
    """

    versions: dict[str, str]
    points: int
    job: str
    environment: bytes
    tasks: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """A file's content. Equal recordings give equal bytes: no time stamp, sorted names."""
        plain = {
            "versions": self.versions,
            "points": self.points,
            "job": self.job,
            "environment": base64.b64encode(self.environment).decode(),
            "tasks": [base64.b64encode(task).decode() for task in self.tasks],
        }
        return gzip.compress(json.dumps(plain, sort_keys=True).encode(), compresslevel=9, mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Recording:
        """What `to_bytes` wrote."""
        plain = json.loads(gzip.decompress(data))
        return cls(
            plain["versions"],
            plain["points"],
            plain["job"],
            base64.b64decode(plain["environment"]),
            tuple(base64.b64decode(task) for task in plain["tasks"]),
        )


def load() -> Recording:
    """The recording that comes with this package."""
    return Recording.from_bytes(resources.files(__package__).joinpath(NAME).read_bytes())
