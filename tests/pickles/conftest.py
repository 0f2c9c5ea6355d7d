"""One queue with workers that have nothing of these tests."""

from tests.coordinator.conftest import queue, server  # noqa: F401
