"""One queue with two workers of ours for all tests of a module."""

from __future__ import annotations

from tests.coordinator.conftest import clean, queue, server

__all__ = ["clean", "queue", "server"]
