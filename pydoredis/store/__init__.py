"""The only code that issues Redis commands.

A `Store` holds one connection and belongs to one thread; `JobStore` is that of a coordinator, `AdminStore`
that of administration. An agent has a link of its own (`pydoredis.worker.link`), and `AgentWire` its
commands. They answer in values, and their errors are ours: `StoreUnavailable` whenever Redis did not answer
or would not work just now (lost, loading, read-only, out of memory). After one quick attempt to reconnect
they leave waiting to their caller, who knows what else there is to do.
"""

from pydoredis.store.connection import Store

__all__ = ["Store"]
