"""What an agent says of itself in Redis while it serves a queue: who it is and what it can run.

It stands in a side key that expires, so whoever finds it finds a living agent. R's workers say nothing of
the kind: all that is known of them is their number, in `Q.count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.messages import Codec

TTL_S = 15
"""How long the key outlives its last refresh: four heartbeats and a bit."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One agent.

    Attributes:
        id: Tells this run of an agent from all others.
        host: Name of its machine, as in the tags of its tasks.
        pid: Number of its process.
        workers: How many tasks it runs at a time.
        codecs: Languages of the bodies that it runs.
        python: Version of its Python, as 3.11.7.
        r: Version of its R, as 4.2.2; empty if it runs none, or has not started it yet.
        version: Version of pydoredis.
        pids: Numbers of its executors' processes, which stand in the tags of its tasks.
    """

    id: str
    host: str
    pid: int
    workers: int
    codecs: tuple[Codec, ...]
    python: str
    r: str
    version: str
    pids: tuple[int, ...] = ()

    def encode(self) -> dict[str, str]:
        """Fields of the hash in the side key."""
        return {
            "id": self.id,
            "host": self.host,
            "pid": str(self.pid),
            "workers": str(self.workers),
            "codecs": ",".join(self.codecs),
            "python": self.python,
            "r": self.r,
            "version": self.version,
            "pids": ",".join(map(str, self.pids)),
        }

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Presence:
        """Read the fields of a hash.

        Raises:
            RemoteProtocolError: If that is not what an agent writes.
        """
        text = {
            name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
            for name, value in fields.items()
        }
        codecs = tuple(
            cast("Codec", name) for name in text.get("codecs", "").split(",") if name in get_args(Codec)
        )
        try:
            return cls(
                *(text["id"], text["host"], int(text["pid"]), int(text["workers"]), codecs),
                *(text["python"], text["r"], text["version"]),
                tuple(int(pid) for pid in text.get("pids", "").split(",") if pid),
            )
        except (KeyError, ValueError) as error:
            raise RemoteProtocolError(f"not what an agent says of itself: {error}") from None

    def fits(self, codec: Codec, needs_python: str = "") -> bool:
        """Whether it can run a job.

        Args:
            codec: The language of the job's body.
            needs_python: The only minor version of Python that can, as 3.11; empty if any can.
        """
        return codec in self.codecs and (not needs_python or minor_version(self.python) == needs_python)


def minor_version(version: str) -> str:
    """`3.11` of `3.11.7`: code objects are the same for all of these."""
    return ".".join(version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Staff:
    """Who is on a queue.

    Attributes:
        counted: How many workers say that they listen, R's included; those that were killed stay counted.
        agents: Those of ours.
        elsewhere: Other queues on the server that have workers.
    """

    counted: int
    agents: Sequence[Presence] = ()
    elsewhere: Sequence[str] = ()

    @property
    def of_r(self) -> int:
        """How many workers are not ours."""
        return max(0, self.counted - sum(agent.workers for agent in self.agents))
