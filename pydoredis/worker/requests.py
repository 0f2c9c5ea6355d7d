"""What a running body asks of its agent: `redisGet`, `redisSet`, `redisDelete` (frames of kind REQUEST)."""

from __future__ import annotations

import struct

from pydoredis.errors import StoreUnavailable
from pydoredis.store import Store
from pydoredis.worker.frames import REQUEST_HEAD, Answer, Bytes, FrameError, Request


def serve(store: Store, body: Bytes) -> tuple[Answer, bytes]:
    """Carry out one request; return head and body of its answer.

    Raises:
        FrameError: If the request makes no sense.
    """
    try:
        operation = Request(bytes(body[:1]))
        (length,) = REQUEST_HEAD.unpack_from(body, 1)
    except (ValueError, struct.error) as error:
        raise FrameError(f"request {body[:1]!r} is not known") from error
    start = 1 + REQUEST_HEAD.size
    key, value = bytes(body[start : start + length]), bytes(body[start + length :])
    try:
        if operation is Request.GET:
            found = store.get_value(key)
            return (Answer.ABSENT, b"") if found is None else (Answer.VALUE, found)
        if operation is Request.DELETE:
            return Answer.VALUE, b"%d" % store.delete_value(key)
        store.set_value(key, value)
    except StoreUnavailable as error:
        return Answer.ERROR, str(error).encode()
    return Answer.VALUE, b""
