"""What the first bytes of a task tell: whose it is, without transferring its arguments.

doRedis, and we, put the job ID first in the message. To look a long queue over, the beginnings of its
elements will do.
"""

from __future__ import annotations

import re

HEAD_SIZE = 512
"""Bytes that hold the job ID of every task written in the usual form."""

_BEFORE_ID = re.compile(
    # Format version 2 or 3 (with the name of an encoding), in R's XDR form.
    rb"X\n\0\0\0(?:\x02.{8}|\x03.{8}\0\0\0[\x01-\x3f][!-~]+)"
    # A list with attributes (its names), whose first element is a character vector of length 1 without any,
    # which is not NA: its length follows.
    rb"\0\0\x02\x13.{4}\0\0\0\x10\0\0\0\x01\0..\x09(?=[\0-\x7f])",
    re.DOTALL,
)


def head_of(message: bytes) -> bytes:
    """The beginning of a task of ours up to the end of its job ID: all tasks of the job have it, no others.

    Raises:
        ValueError: If the task is not in the usual form, which ours always are.
    """
    match = _BEFORE_ID.match(message)
    if match is None:
        raise ValueError("not a task as coordinators of ours write it")
    start = match.end() + 4
    return message[: start + int.from_bytes(message[match.end() : start], "big")]


def job_of_head(head: bytes) -> str | None:
    """The text that stands where a task in the usual form has its job ID; None if the form is another.

    It is not the last word on a message, whose names stand at its end: `wire.decode_task` is.
    """
    match = _BEFORE_ID.match(head)
    if match is None:
        return None
    start = match.end() + 4
    end = start + int.from_bytes(head[match.end() : start], "big")
    if end > len(head):
        return None
    try:
        return head[start:end].decode()
    except UnicodeDecodeError:
        return None
