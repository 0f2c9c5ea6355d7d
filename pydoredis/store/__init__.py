"""The only code that issues Redis commands.

A `Store` holds one connection and belongs to one thread; `WorkerStore` is that of an agent, `JobStore` that
of a coordinator, `AdminStore` that of administration. They answer in values, and their errors are ours:
`StoreUnavailable` whenever Redis did not answer or would not work just now (lost, loading, read-only, out of
memory). After one quick attempt to reconnect they leave waiting to their caller, who knows what else there is
to do.
"""

from pydoredis.store.claims import Claim, Crash, Marked
from pydoredis.store.connection import Store
from pydoredis.store.worker import End, Lists, WorkerStore

__all__ = ["Claim", "Crash", "End", "Lists", "Marked", "Store", "WorkerStore"]
