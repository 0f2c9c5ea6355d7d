"""How tests are shared out when several run at a time (`pytest -n … --dist loadfile`)."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

APART = "tests/faults/"
"""Where tests share nothing and mostly wait for what Redis lets expire."""


class FileByFile(LoadFileScheduling):  # type: ignore[misc]  # which has no types
    """A file's tests stay together: what they share, such as a pool that replays recordings, is made once."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(APART) else str(super()._split_scope(nodeid))
