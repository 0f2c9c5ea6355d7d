"""The worlds that are explored."""

from __future__ import annotations

from tests.model.jobs import Job
from tests.model.world import Scenario

AGENTS = frozenset({"death", "interrupt", "lost", "late", "crash", "pause", "long pause", "signal"})
"""What befalls agents and their executors."""

SCENARIOS = {
    "python": Scenario(
        Job(3, 1, "cloudpickle"), faults=AGENTS | {"coordinator lost", "start keys deleted", "failover"}
    ),
    "python, chunks": Scenario(
        Job(3, 2, "cloudpickle"), faults=AGENTS | {"coordinator lost", "start keys deleted", "failover"}
    ),
    "python, fine": Scenario(Job(2, 2, "cloudpickle"), faults=AGENTS, fine=True),
    "python, two faults": Scenario(
        Job(2, 2, "cloudpickle"), faults=AGENTS | {"failover"}, most_faults=2, most_looks=4
    ),
    "R": Scenario(Job(3, 1, "r"), faults=AGENTS | {"start keys deleted", "failover"}),
    "R, chunks": Scenario(Job(3, 2, "r"), faults=AGENTS),
    "R, two faults": Scenario(Job(2, 2, "r"), faults=AGENTS, most_faults=2, most_looks=4),
    "python, R worker": Scenario(
        Job(3, 1, "cloudpickle"),
        agents=1,
        r_worker=True,
        faults=AGENTS | {"coordinator lost", "R worker dies"},
    ),
    "R, R worker": Scenario(Job(3, 2, "r"), agents=1, r_worker=True, faults=AGENTS | {"R worker dies"}),
}
"""By name. A failover that forgets where a task was costs an R coordinator with several iterations per task
its loop, and so does whoever deletes the start keys of others (protocol 12.4): these are left out there."""
