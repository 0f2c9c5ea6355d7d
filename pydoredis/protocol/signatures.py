"""Signatures of what is unpickled: only who knows a secret can have workers and coordinators unpickle bytes.

A task is signed together with its job's ID, the numbers of its iterations, a digest of the job's environment
and the time; a result with its job's ID and its numbers. So neither can be altered, moved into another job,
or put on a queue again long after. The signature (HMAC-SHA256) stands before the pickle, in the same raw
vector: a mark, seconds since 1970, the code. Whoever has no secret skips it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol import parts

MAX_AGE_S: Final = 7 * 24 * 3600.0
"""Seconds for which a task is valid: what waits for longer on a queue is refused."""

_MARK: Final = b"signed\x01\n"
_HEAD: Final = struct.Struct(f">{len(_MARK)}sd32s")
_CONTEXT: Final = struct.Struct(">4sIId")


class SignatureError(RemoteProtocolError):
    """Something is not signed by anybody who knows the secret, or too long ago."""


def content_of(data: bytes) -> bytes:
    """What a signature stands before, or stands before nothing: for those who know no secret."""
    return data[_HEAD.size :] if data.startswith(_MARK) else data


class Signatures:
    """Signs and checks.

    Args:
        keys: The secrets: the first one signs, what any of them has signed is accepted. So a secret is
            replaced without a break: everybody gets the new one behind the old one, then before it, then
            alone.
        clock: Tells the seconds since 1970.
        max_age_s: Seconds for which a task is valid.
    """

    def __init__(
        self, keys: Sequence[bytes], clock: Callable[[], float], max_age_s: float = MAX_AGE_S
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._max_age_s = max_age_s

    def task(self, job: str, numbers: Sequence[int], environment: bytes, pickled: bytes) -> bytes:
        """Arguments of a task, signed.

        Args:
            job: The job's ID.
            numbers: Of the task's iterations.
            environment: Digest of the job's environment (`digest`).
            pickled: The arguments.
        """
        return self._signed(b"task", job, numbers, environment, pickled)

    def open_task(self, job: str, numbers: Sequence[int], environment: bytes, data: bytes) -> bytes:
        """The arguments of a task, once it is certain who has signed them.

        Raises:
            SignatureError: If that is nobody who knows a secret, or that was too long ago.
        """
        signed_s = self._check(b"task", job, numbers, environment, data)
        age_s = self._clock() - signed_s
        if age_s > self._max_age_s:
            raise SignatureError(f"it was signed {age_s:,.0f} s ago, and is valid for {self._max_age_s:,.0f}")
        return data[_HEAD.size :]

    def result(self, job: str, numbers: Sequence[int], pickled: bytes) -> bytes:
        """Outcomes of a task, signed."""
        return self._signed(b"done", job, numbers, b"", pickled)

    def open_result(self, job: str, numbers: Sequence[int], data: bytes) -> bytes:
        """The outcomes of a task; see `open_task`."""
        self._check(b"done", job, numbers, b"", data)
        return data[_HEAD.size :]

    def _signed(self, kind: bytes, job: str, numbers: Sequence[int], digest: bytes, content: bytes) -> bytes:
        now_s = self._clock()
        code = _code(self._keys[0], _context(kind, job, numbers, digest, now_s), content)
        return _HEAD.pack(_MARK, now_s, code) + content

    def _check(self, kind: bytes, job: str, numbers: Sequence[int], digest: bytes, data: bytes) -> float:
        """When it was signed."""
        if not data.startswith(_MARK) or len(data) < _HEAD.size:
            raise SignatureError("it is not signed")
        _, signed_s, code = _HEAD.unpack_from(data)
        context, content = _context(kind, job, numbers, digest, signed_s), data[_HEAD.size :]
        if not any(hmac.compare_digest(_code(key, context, content), code) for key in self._keys):
            raise SignatureError("it is not signed with this secret, or was altered")
        return float(signed_s)


class JobSigner:
    """Signs the tasks of one job, and checks its results.

    Args:
        signatures: How.
    """

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._environment = b""

    def bind(self, environment: parts.Message) -> None:
        """The job has this environment: its tasks are valid together with it, and with no other."""
        self._environment = digest(parts.assembled(environment))

    def task(self, job: str, numbers: Sequence[int], pickled: bytes) -> bytes:
        """Arguments of a task, signed."""
        return self._signatures.task(job, numbers, self._environment, pickled)

    def open_result(self, job: str, numbers: Sequence[int], data: bytes) -> bytes:
        """The outcomes of a task. Raises SignatureError: see `Signatures.open_result`."""
        return self._signatures.open_result(job, numbers, data)


def digest(pieces: Iterable[parts.Buffer]) -> bytes:
    """What stands for a job's environment in the signatures of its tasks.

    Args:
        pieces: All bytes of it, as workers have them (`parts.assembled`).
    """
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.digest()


def _context(kind: bytes, job: str, numbers: Sequence[int], digest: bytes, time_s: float) -> bytes:
    """What is signed besides the content, each part with its length: no two contexts have the same bytes."""
    name = job.encode()
    listed = struct.pack(f">{len(numbers)}q", *numbers)
    return b"".join((_CONTEXT.pack(kind, len(name), len(numbers), time_s), name, listed, digest))


def _code(key: bytes, context: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"".join((struct.pack(">I", len(context)), context, content)), "sha256")
