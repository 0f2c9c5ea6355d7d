"""Messages as bytes: the envelope, which is R serialization whatever language the body is in.

An agent handles thousands of tasks a second and needs only their outlines, so nothing here builds the users'
values: `rinterop.serialize.outline` checks every byte of a payload and reports the outer levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.messages import JobEnvironment, Task
from rinterop import values
from rinterop.serialize import Outline, outline

LIVE_VALUE = rinterop.dumps(values.character(""))
"""Value of `Q.live`: R's `serialize("", NULL)`, 39 bytes."""

FIRST_ALIVE_VALUE = rinterop.dumps(values.double(0.0))
"""What an alive key holds until its first refresh, as R workers write it. Nobody reads it."""

ALIVE_VALUE = b"OK"
"""What an alive key holds from its first refresh on (protocol, section 6)."""

MAX_MESSAGE = 512 * 1024 * 1024
"""Largest value in bytes that Redis takes (its default `proto-max-bulk-len`)."""


def decode_task(payload: bytes) -> Task:
    """Read what a coordinator put on the queue: `list(ID =, argsList =)`.

    Raises:
        RemoteProtocolError: If it is not a task, or not R serialization at all.
    """
    fields = _fields(payload, "task")
    job, arguments = fields.get("ID"), fields.get("argsList")
    if job is None or job.text is None:
        raise RemoteProtocolError("not a task: no job ID in it")
    if arguments is None or arguments.children is None:
        raise RemoteProtocolError("not a task: no argsList in it")
    names = arguments.names or ()
    if len(names) != len(arguments.children):
        # R would run these and push results that nobody can place.
        raise RemoteProtocolError(f"not a task: {len(arguments.children)} iterations, {len(names)} numbers")
    try:
        iterations = tuple(map(int, names))
    except ValueError:
        raise RemoteProtocolError(f"not a task: iterations named {names[:3]!r}") from None
    return Task(job.text, iterations, payload)


def decode_environment(payload: bytes) -> JobEnvironment:
    """Read what all tasks of a job share, as far as an agent looks into it.

    Raises:
        RemoteProtocolError: If it is not a job environment, or not R serialization at all.
    """
    fields = _fields(payload, "job environment")
    if "codec" not in fields:
        if "expr" not in fields or "exportenv" not in fields:
            raise RemoteProtocolError(f"not a job environment: a list of {sorted(fields)}")
        return JobEnvironment("r", payload)
    codec = fields["codec"].text
    if codec != "cloudpickle":
        raise RemoteProtocolError(f"a job environment with the codec {codec!r}, which is not known here")
    return JobEnvironment("cloudpickle", payload)


def encode_start(iterations: Sequence[int]) -> bytes:
    """Value of a start key: the iteration numbers, from which a coordinator makes the task anew."""
    return rinterop.dumps(values.integer(*iterations))


def encode_failures(iterations: Sequence[int], message: str) -> bytes:
    """A result message in which every iteration is an R error condition with this message."""
    failure = values.simple_error(message)
    return rinterop.dumps(values.named_list(**{str(number): failure for number in iterations}))


def encode_crashes(verdicts: Mapping[int, str]) -> bytes:
    """A result message for iterations that killed their worker too often: by number, the error's message.

    The conditions have the class `pydoredis_crash` in front, so that R code can tell them apart.
    """
    conditions = {
        str(number): values.condition(message, "pydoredis_crash", "error", "condition")
        for number, message in verdicts.items()
    }
    return rinterop.dumps(values.named_list(**conditions))


def _fields(payload: bytes, what: str) -> dict[str, Outline]:
    """The elements of the named list that a message is; the first of a name counts, as in R's `$`."""
    try:
        shape = outline(payload)
    except rinterop.DecodeError as error:
        raise RemoteProtocolError(f"not a {what}: {error}") from error
    if shape.names is None or shape.children is None:
        raise RemoteProtocolError(f"not a {what}: not a list with names")
    fields: dict[str, Outline] = {}
    for name, child in zip(shape.names, shape.children, strict=True):
        fields.setdefault(name, child)
    return fields
