"""For tests of programs that use pydoredis: loops without Redis, and a pool for a whole test session.

`in_process` runs loops in this process; `pool` starts a Redis and workers of its own. pytest finds the
fixtures `pydoredis_in_process`, `pydoredis_pool` and `pydoredis_queue` by itself (`plugin`). As it imports
this package then, what they need is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydoredis.testing.private_pool import pool
    from pydoredis.testing.sequential import in_process

_MODULES = {"in_process": "sequential", "pool": "private_pool"}

__all__ = ["in_process", "pool"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'pydoredis.testing' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pydoredis.testing.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
