"""What a running body asks of its agent: `redisGet`, `redisSet`, `redisDelete` (frames of kind REQUEST)."""

from __future__ import annotations

from pydoredis.errors import StoreUnavailable
from pydoredis.store import Store
from pydoredis.worker.frames import Answer, Operation, Request


def serve(store: Store, request: Request) -> tuple[Answer, bytes]:
    """Carry out one request; return head and body of its answer."""
    try:
        if request.operation is Operation.GET:
            found = store.get_value(request.key)
            return (Answer.ABSENT, b"") if found is None else (Answer.VALUE, found)
        if request.operation is Operation.DELETE:
            return Answer.VALUE, b"%d" % store.delete_value(request.key)
        store.set_value(request.key, request.value)
    except StoreUnavailable as error:
        return Answer.ERROR, str(error).encode()
    return Answer.VALUE, b""
