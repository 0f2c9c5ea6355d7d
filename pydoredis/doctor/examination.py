"""Carries an examination out: asks, looks twice, checks; and clears away what was found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydoredis.admin import Admin
from pydoredis.doctor import here, orphans, pool, server
from pydoredis.doctor.findings import Finding
from pydoredis.doctor.orphans import Orphan
from pydoredis.doctor.pool import Look, QueueFacts
from pydoredis.errors import ConfigError, LocalProtocolError, StoreUnavailable, UnknownJob
from pydoredis.protocol.families import Family
from pydoredis.settings import ConnectionSettings
from pydoredis.store.health import HealthStore, ServerFacts

PAUSE_S = 1.0
"""Between two looks at a queue: what agents hold ahead, and what is just ending, has moved on by then."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found.

    Attributes:
        findings: One or more for each check.
        orphans: What can be cleared away (`clean`).
    """

    findings: Sequence[Finding]
    orphans: Sequence[Orphan] = ()


def examine(
    connection: ConnectionSettings, queue: str | None = None, *, wait: Callable[[float], None] = time.sleep
) -> Report:
    """Examine the server, this machine, and the queues.

    A server that cannot be reached, or does not let us in, is a finding and no error.

    Args:
        connection: Which server.
        queue: Only this queue; in a Redis Cluster one has to be named.
        wait: Waits between the two looks at a queue, for so many seconds.

    Raises:
        ConfigError: If the queue's name makes no sense, or none is named in a cluster.
        LocalProtocolError: If something else than a queue is kept under that name.
    """
    if queue is not None:
        connection = connection.at(queue)
    elif connection.kind == "cluster":
        raise ConfigError("queue", None, "the name of one: in a Redis Cluster they are on many nodes")
    findings: list[Finding] = []
    found: list[Orphan] = []
    with contextlib.closing(HealthStore(connection)) as store:
        try:
            facts = _reach(store, findings)
            if facts is not None:
                findings += [check(facts) for check in server.CHECKS]
                queues = _look_twice(store, connection, queue, wait)
                if queue is not None and not queues:
                    findings.append(Finding("queue", "warning", "there is no such queue", queue=queue))
                findings += [one for facts_ in queues for check in pool.CHECKS for one in check(facts_)]
                found = [orphan for facts_ in queues for orphan in orphans.find(facts_)]
                findings += map(orphans.finding, found)
        except StoreUnavailable as error:
            findings.append(Finding("reachable", "error", str(error), _ASK_AGAIN))
    findings += [finding for check in here.CHECKS if (finding := check()) is not None]
    return Report(findings, found)


_ASK_AGAIN = "The server was there a moment ago: look into its log, then ask again."


def _reach(store: HealthStore, findings: list[Finding]) -> ServerFacts | None:
    """What the server tells of itself; None, with a finding, if it cannot be reached."""
    try:
        store.check()
        facts = store.facts()
    except StoreUnavailable as error:
        findings.append(
            Finding(
                *("reachable", "error", str(error)),
                "Is a Redis server running there? `pydoredis server` starts one; --url or PYDOREDIS_URL says "
                "where it is. Look for firewalls, for `bind` and `protected-mode` in redis.conf.",
            )
        )
        return None
    except ConfigError as error:
        findings.append(Finding("reachable", "error", str(error), "Change the address or the server."))
        return None
    findings.append(Finding("reachable", "ok", f"{facts.name} answers at {facts.address}"))
    return facts


def _look_twice(
    store: HealthStore, connection: ConnectionSettings, queue: str | None, wait: Callable[[float], None]
) -> list[QueueFacts]:
    """The queues; only one, if it is named; none, if there is none of that name."""
    with contextlib.closing(Admin(connection)) as admin:
        if queue is not None and not admin.has_queue(queue):
            return []
        before = {
            family.keys.queue: (family, _look(store, admin, family)) for family in _families(store, queue)
        }
        if not before:
            return []
        wait(PAUSE_S)
        return [
            QueueFacts(
                name,
                family.live,
                store.length(family.keys.dead),
                look,
                _look(store, admin, family),
            )
            for name, (family, look) in before.items()
        ]


def _families(store: HealthStore, queue: str | None) -> list[Family]:
    if queue is not None:
        return [store.family(queue)]
    return [family for _, family in sorted(store.families().items()) if family.is_queue]


def _look(store: HealthStore, admin: Admin, family: Family) -> Look:
    name = family.keys.queue
    (count,) = store.counts([family.keys])
    return Look(
        jobs=list(admin.jobs(name)),
        tasks=list(admin.tasks(name)),
        workers=list(admin.workers(name)),
        count=count,
        listed=store.listed_agents(family.keys),
        # After the list: an agent that joins meanwhile is none that died.
        agents=store.agents(family.keys),
        in_blpop=store.waiting_in_blpop(),
    )


def clean(connection: ConnectionSettings, found: Iterable[Orphan]) -> list[Orphan]:
    """Remove orphans; returns those that were removed, without those that were gone by themselves.

    Raises:
        StoreUnavailable: If Redis is lost; what is left can be removed once more.
    """
    removed: list[Orphan] = []
    with contextlib.closing(Admin(connection)) as admin, contextlib.ExitStack() as stack:
        for orphan in found:
            if orphan.kind == "agent":
                store = stack.enter_context(contextlib.closing(HealthStore(connection.at(orphan.queue))))
                store.sweep(store.family(orphan.queue).keys)
                removed.append(orphan)
                continue
            with contextlib.suppress(UnknownJob, LocalProtocolError):
                if admin.find_job(orphan.name, orphan.queue).state == "left over":
                    admin.remove_job(orphan.name, orphan.queue)
                    removed.append(orphan)
    return removed
