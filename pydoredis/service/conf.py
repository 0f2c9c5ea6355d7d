"""doRedis's configuration file, `/etc/doRedis.conf`: lines of `key: value`, where `#` begins a comment.

As doRedis's own service reads it, the last of several lines with one key counts, keys that it does not know
are passed over, and what is not said has a default. `n` and `queue` may be lists, of the same length.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import check_queue_name
from pydoredis.settings import ConnectionSettings
from pydoredis.settings.parsers import count, not_negative, positive, whole

DEFAULT_PATH: Final = Path("/etc/doRedis.conf")
DEFAULT_USER: Final = "nobody"

KEYS: Final = frozenset(
    {
        "n",
        "queue",
        "R",
        "linger",
        "timeout",
        "iter",
        "host",
        "port",
        "user",
        "password",
        "loglevel",
        "timelimit",
    }
)

_LINE: Final = re.compile(r"[ \t]*(\w+)[ \t]*:[ \t]*(.*?)[ \t]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerSet:
    """Workers on one queue.

    Attributes:
        queue: The queue.
        workers: How many.
    """

    queue: str
    workers: int


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What the file says.

    Attributes:
        sets: The queues, each with its workers.
        connection: Which Redis, password included.
        linger_s: Seconds that a worker waits for a task before it looks whether its queue was removed.
        iter: After so many tasks a worker's process is replaced.
        timelimit_s: Longest run of a task, in seconds; 0 for no limit.
        loglevel: What is logged.
        user: Whom the workers run as, where we are root.
        environment: What is set for them, so that they find the R that the file names.
        unknown: Keys that mean nothing here.
    """

    sets: tuple[WorkerSet, ...] = (WorkerSet("RJOBS", 2),)
    connection: ConnectionSettings = field(default_factory=ConnectionSettings)
    linger_s: float = 5.0
    iter: int = 50
    timelimit_s: float = 0.0
    loglevel: Literal["INFO", "DEBUG"] = "INFO"
    user: str = DEFAULT_USER
    environment: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> ServiceConfig:
        """Read a file.

        Raises:
            ConfigError: If it cannot be read, or makes no sense.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError("config", str(path), f"a readable file ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise ConfigError("config", str(path), "a file in UTF-8") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, source: str) -> ServiceConfig:
        """Read the text of a file.

        Args:
            text: The text.
            source: Where it comes from, for errors.

        Raises:
            ConfigError: If it makes no sense.
        """
        said, unknown = _lines(text)

        def value(key: str, parse: Callable[[str, object, str], T], default: T) -> T:
            return parse(key, said[key], source) if key in said else default

        linger = "timeout" if "timeout" in said and "linger" not in said else "linger"
        level = value("loglevel", lambda *given: whole(*given, minimum=0), 0)
        port = value("port", lambda *given: whole(*given, minimum=1, maximum=65535), 6379)
        return cls(
            sets=_sets(said, source),
            connection=ConnectionSettings.load(
                host=said.get("host", "localhost"),
                port=port,
                password=said.get("password"),
                environ=os.environ,
            ),
            linger_s=value(linger, positive, 5.0),
            iter=value("iter", count, 50),
            timelimit_s=value("timelimit", not_negative, 0.0),
            loglevel="DEBUG" if level else "INFO",
            user=said.get("user", DEFAULT_USER),
            environment=_environment_for(said.get("R", "R"), source),
            unknown=unknown,
        )

    def __repr__(self) -> str:
        sets = ", ".join(f"{one.workers} on {one.queue}" for one in self.sets)
        return f"<ServiceConfig: {sets}, {self.connection.safe_url}>"


def _lines(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is said, by key, and the keys that we do not know."""
    said: dict[str, str] = {}
    unknown: list[str] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line.partition("#")[0])
        if found is None:
            continue
        key, value = found.groups()
        if key not in KEYS:
            unknown.append(key)
        elif value:
            said[key] = value
        else:
            said.pop(key, None)  # an empty one is as good as none
    return said, tuple(dict.fromkeys(unknown))


def _sets(said: dict[str, str], source: str) -> tuple[WorkerSet, ...]:
    numbers = [count("n", number, source) for number in said.get("n", "2").split()]
    queues = [check_queue_name(queue) for queue in said.get("queue", "RJOBS").split()]
    if len(numbers) != len(queues):
        raise ConfigError(
            *("n", said.get("n", "2"), f"as many numbers as there are queues: {len(queues)}", source)
        )
    return tuple(map(WorkerSet, queues, numbers))


def _environment_for(r: str, source: str) -> tuple[tuple[str, str], ...]:
    """What has workers find a certain R; nothing if it is the one on the PATH."""
    if r == "R":
        return ()
    found = shutil.which(r)
    if found is None:
        raise ConfigError("R", r, "an R that can be run", source)
    folder = Path(found).parent
    path = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
    rscript = shutil.which("Rscript", path=str(folder))
    named = (("PYDOREDIS_RSCRIPT", rscript),) if rscript else ()
    return ("R_HOME", ""), ("PATH", path), *named


SAMPLE: Final = """\
# Workers of this machine: `key: value`, one a line; what follows a # is a comment. doRedis's own service
# reads the same file.
n: 2               # how many workers
queue: RJOBS       # on which queue; or several, with as many numbers: `n: 2 1`, `queue: RJOBS SYSTEM`
R: R               # which R; by default the one on the PATH
linger: 5          # seconds to wait for a task before looking whether the queue was removed
iter: 50           # tasks after which a worker's process is replaced
host: localhost    # Redis
port: 6379
#password: secret  # then this file is for root alone: chmod 600
user: nobody       # whom the workers run as
loglevel: 0        # 1 logs every task
timelimit: 0       # seconds after which a task is stopped; 0 for no limit
"""
