"""R's doRedis work queues from Python."""

from pydoredis._version import __version__

__all__ = ["__version__"]
