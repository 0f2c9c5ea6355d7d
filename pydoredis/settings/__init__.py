"""Settings: arguments > environment > file > defaults, resolved in one place and checked once.

`ConnectionSettings` says which Redis, `WorkerSettings` how a worker behaves. Both are frozen, and both are
built by their `load`, which takes what the command line (or a caller) gave and fills in the rest. Nothing
is read at import time. `docs/settings.md` is the table for users.
"""

from pydoredis.settings.connection import ConnectionSettings
from pydoredis.settings.file import ConfigFile
from pydoredis.settings.processors import cpu_count
from pydoredis.settings.worker import WorkerSettings, environment_name

__all__ = ["ConfigFile", "ConnectionSettings", "WorkerSettings", "cpu_count", "environment_name"]
