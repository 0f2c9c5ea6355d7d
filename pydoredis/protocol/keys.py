"""Every Redis key is built here and nowhere else (protocol, section 2); `families` tells keys apart.

doRedis joins the parts of a key with dots and escapes nothing; the side keys of ours begin with `pydoredis:`,
so that no pattern of an R peer (`Q.env.*`, `Q.start.J*`) ever matches them.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime

from pydoredis.errors import ConfigError, RemoteProtocolError

Span = tuple[int, int]
"""First and last iteration of a task: how keys name it."""

SIDE_KINDS = frozenset(
    {
        *("activity", "agent", "agents", "aside", "batch", "cancelled", "crashes", "dead", "demand", "drain"),
        *("given", "inner", "over", "piece", "published", "py"),
    }
)
"""First words of the names of side keys."""

MAX_DEPTH = 8
"""How deep loops inside of bodies may be: each depth has a list of tasks of its own."""

_PATTERN_CHARACTERS = frozenset("*?[]\\^$+()|")
_HASH_TAG = re.compile(r"\{[^{}]+\}")
_TAG_FORM = re.compile(r"iters (-?\d+)\.\.\.(-?\d+) host (.*) pid (\d+) begin (.*)", re.DOTALL | re.ASCII)
_ESCAPES = {"_": "%5F", " ": "%20", "%": "%25"}
_UNESCAPES = {code: character for character, code in _ESCAPES.items()}


def check_queue_name(name: str) -> str:
    """Return `name` if every peer can work with it.

    doRedis puts queue names unescaped into Redis patterns and regular expressions. With `q+1` an R
    coordinator takes each running task for a fault and returns without results; with `q[1]` it resubmits
    running tasks (protocol 12.9). Braces are allowed as the hash tag of a Redis Cluster (`{RJOBS}`): for
    Python peers only.

    Raises:
        ConfigError: If the name is empty or holds a character that breaks R peers.
    """
    allowed = "letters, digits, spaces, '-', '_', '.', ':' and the like"
    if not name or "\0" in name:
        raise ConfigError("queue", name, f"a name that is not empty, made of {allowed}")
    bad = sorted(_PATTERN_CHARACTERS.intersection(name))
    if bad:
        raise ConfigError(
            "queue",
            name,
            f"a name without {' '.join(bad)} (only {allowed}): doRedis uses queue names as patterns, "
            "and with these characters R coordinators lose results without an error",
        )
    if set("{}").intersection(_HASH_TAG.sub("", name, count=1)):
        raise ConfigError(
            "queue",
            name,
            "braces only as one hash tag of a Redis Cluster, as in '{RJOBS}' (for Python peers only: "
            "R peers take the braces for a pattern)",
        )
    return name


def is_for_python_peers_only(name: str) -> bool:
    """Whether an allowed queue name holds a cluster hash tag, which R peers cannot work with."""
    return "{" in name


def hash_tag(name: str) -> str | None:
    """The part of an allowed queue name that says where a cluster keeps its keys; None if there is none."""
    found = _HASH_TAG.search(name)
    return found[0][1:-1] if found else None


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one queue, as doRedis 3.0.2 spells them, and the side keys of ours.

    `job` is a job ID as it stands in the task, `tag` a task tag (`TaskTag`) as text.

    Attributes:
        queue: The queue's name.
        depth: In how many bodies the loops are that are meant: 0 for those of programs. Their tasks wait in
            lists of their own; all other keys are the same.
    """

    queue: str
    depth: int = 0

    def at_depth(self, depth: int) -> QueueKeys:
        """The same for loops inside of so many bodies."""
        return self if depth == self.depth else QueueKeys(self.queue, depth)

    @property
    def tasks(self) -> str:
        """List of tasks: the queue; of loops inside of bodies one of ours, which our workers serve first."""
        return self._side(f"inner:{self.depth}") if self.depth else self.queue

    def depths(self, deepest: int = MAX_DEPTH) -> dict[str, int]:
        """The lists in which tasks may wait, with their depths."""
        inner = {self.at_depth(depth).tasks: depth for depth in range(1, deepest + 1)}
        return {self.queue: 0, self.python: 0, **inner}

    @property
    def live(self) -> str:
        """Present while the queue is open; a worker leaves once it is gone."""
        return f"{self.queue}.live"

    @property
    def count(self) -> str:
        """How many workers say that they listen: decimal text, an estimate."""
        return f"{self.queue}.count"

    def env(self, job: str) -> str:
        """What all tasks of the job share: expression, exports, packages."""
        return f"{self.queue}.env.{job}"

    def piece(self, job: str, name: str, number: int) -> str:
        """Ours: a piece of the job's environment, from 1 (`protocol.parts`); `name` is the same for all."""
        return f"{self.pieces(job)}{name}:{number}"

    def pieces(self, job: str) -> str:
        """What the keys of all pieces of the job's environment begin with."""
        return self._side(f"piece:{job}:")

    def out(self, job: str) -> str:
        """List of result messages."""
        return f"{self.queue}.out.{job}"

    def start(self, job: str, tag: str) -> str:
        """Iteration numbers of a task that was taken and not yet answered."""
        return f"{self.queue}.start.{job}.{tag}"

    def alive(self, job: str, tag: str) -> str:
        """Expires 10 s after its worker last said that the task is running."""
        return f"{self.queue}.alive.{job}.{tag}"

    def published(self, job: str) -> str:
        """Ours: hash of the blocks of the job that one of our workers published, with the claim that did."""
        return self._side(f"published:{job}")

    def given(self, job: str, claim: str) -> str:
        """Ours: says for a while that a task was given back; `claim` names who had it, and which time."""
        return self._side(f"given:{job}:{claim}")

    @property
    def crashes(self) -> str:
        """Ours: hash that counts how many executors died on a run of iterations (`crash_field`)."""
        return self._side("crashes")

    @property
    def dead(self) -> str:
        """Ours: list of payloads that nobody can read, kept for a human."""
        return self._side("dead")

    @property
    def python(self) -> str:
        """Ours: list of tasks that only Python workers can run."""
        return self._side("py")

    def cancelled(self, job: str) -> str:
        """Ours: says for a while that the job was removed on purpose, so that nobody takes it for lost."""
        return self._side(f"cancelled:{job}")

    @property
    def agents(self) -> str:
        """Ours: hash of the agents that serve the queue, with how many workers they count for."""
        return self._side("agents")

    def agent(self, id: str) -> str:
        """Ours: hash of what an agent says of itself, for as long as it lives."""
        return self._side(f"agent:{id}")

    def activity(self, agent: str) -> str:
        """Ours: what an agent does and has done (`protocol.telemetry`), for as long as it lives."""
        return self._side(f"activity:{agent}")

    def drain(self, agent: str) -> str:
        """Ours: says for a while that somebody wants this agent to leave."""
        return self._side(f"drain:{agent}")

    def demand(self, job: str) -> str:
        """Ours: how far a job is and what is not sent yet (`protocol.telemetry`), by its coordinator."""
        return self._side(f"demand:{job}")

    def aside(self, agent: str) -> str:
        """Ours: list of tasks that an agent has taken and that are not marked yet."""
        return self._side(f"aside:{agent}")

    def batch(self, agent: str) -> str:
        """Ours: the tasks that an agent took last, for a while, should the reply be lost."""
        return self._side(f"batch:{agent}")

    @property
    def over(self) -> str:
        """Ours: jobs that have ended although somebody may still answer, by the time when they did."""
        return self._side("over")

    @property
    def side_prefix(self) -> str:
        """What the side keys of the queue, and of no other, begin with; one of `SIDE_KINDS` follows."""
        # The part in braces decides the slot in a cluster. A queue that brings its own hash tag keeps it, in
        # parentheses, which no name of a queue has: queue `{a}` is another one than `a`.
        enclosed = f"({self.queue})" if is_for_python_peers_only(self.queue) else f"{{{self.queue}}}"
        return f"pydoredis:{enclosed}:"

    def _side(self, name: str) -> str:
        return f"{self.side_prefix}{name}"


def block_name(first: int, last: int) -> str:
    """How a run of iterations is named in tags and side keys: `4...6`."""
    return f"{first}...{last}"


def crash_field(job: str, first: int, last: int) -> str:
    """Field of `QueueKeys.crashes` for a run of iterations."""
    return f"{job}:{block_name(first, last)}"


def crash_cause(field: str) -> str:
    """Field of `QueueKeys.crashes` that says why the last executor counted in `field` died."""
    return f"{field}:cause"


@dataclass(frozen=True, slots=True)
class JobId:
    """Who submitted a job, and when: `<pid>_<user>_<nodename>_<YYYY-mm-dd-HH:MM:SS.mmm>`.

    R writes user and node name as they are, with each space turned into `-`. We percent-encode what would
    break the form (an underscore, a space, a percent sign), so that `jobs()` in R, which splits at
    underscores, shows the right columns and `parse` gives the names back.
    """

    pid: int
    user: str
    host: str
    time: datetime

    def __str__(self) -> str:
        milliseconds = self.time.microsecond // 1000
        stamp = f"{self.time:%Y-%m-%d-%H:%M:%S}.{milliseconds:03d}"
        return f"{self.pid}_{_encode(self.user)}_{_encode(self.host)}_{stamp}"

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read a job ID, ours or R's: of more than four parts the last two are host and time.

        Raises:
            RemoteProtocolError: If the text has not this form.
        """
        pid, _, rest = text.partition("_")
        names, _, stamp = rest.rpartition("_")
        user, separator, host = names.rpartition("_")
        if not separator or not pid.isascii() or not pid.isdigit():
            raise RemoteProtocolError(f"not a job ID: {text!r}")
        try:
            time = datetime.strptime(stamp, "%Y-%m-%d-%H:%M:%S.%f")
        except ValueError as error:
            raise RemoteProtocolError(f"not a job ID: {text!r} ends in no time") from error
        return cls(int(pid), _decode(user), _decode(host), time)

    @classmethod
    def fits(cls, text: str) -> bool:
        """Whether a text is a job ID."""
        try:
            cls.parse(text)
        except RemoteProtocolError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class TaskTag:
    """Which iterations run where since when: the last part of the names of start and alive keys.

    `begin` is the worker's local time; R from 4.3 on writes a fraction of the second behind it, so it is kept
    as text. A worker of ours keeps spaces out of `host` (they separate the words of the tag).
    """

    first: int
    last: int
    host: str
    pid: int
    begin: str

    def __str__(self) -> str:
        return f"iters {block_name(self.first, self.last)} host {self.host} pid {self.pid} begin {self.begin}"

    @classmethod
    def parse(cls, text: str) -> TaskTag:
        """Read a tag.

        Raises:
            RemoteProtocolError: If the text has not this form.
        """
        match = _TAG_FORM.fullmatch(text)
        if match is None:
            raise RemoteProtocolError(f"not a task tag: {text!r}")
        first, last, host, pid, begin = match.groups()
        return cls(int(first), int(last), host, int(pid), begin)


def format_begin(time: datetime) -> str:
    """The begin of a tag: whole seconds, as R before 4.3 writes it."""
    return f"{time:%Y-%m-%d-%H:%M:%S}"


def parse_begin(text: str) -> datetime | None:
    """The begin of a tag as a time, with or without a fraction of the second; None if it is none."""
    for form in ("%Y-%m-%d-%H:%M:%S", "%Y-%m-%d-%H:%M:%S.%f"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form)
    return None


def tag_host(nodename: str) -> str:
    """A node name as it stands in a tag: without spaces."""
    return nodename.replace(" ", "-")


def _encode(name: str) -> str:
    return re.sub("[_ %]", lambda match: _ESCAPES[match[0]], name)


def _decode(name: str) -> str:
    return re.sub("%(?:5F|20|25)", lambda match: _UNESCAPES[match[0]], name)
