"""Checks of a Redis server. Each takes what the server tells of itself, and gives one finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydoredis.doctor.findings import Finding, counted
from pydoredis.store.health import ServerFacts

OLDEST: Final = (6, 2)
BULK: Final = 512 * 1024 * 1024
"""`proto-max-bulk-len` as Redis has it by default: the largest value that it takes."""

SLOW_S, VERY_SLOW_S = 0.005, 0.1
"""Round trips from which on short tasks suffer, and from which on everything does."""

CLOCKS_S = 2.0
"""How far clocks may be apart before anybody notices."""


def version(server: ServerFacts) -> Finding:
    """A version with all commands that we need."""
    if server.version < OLDEST:
        return Finding(
            "version", "error", f"{server.name} is too old", "Install Redis 6.2 or later, or Valkey."
        )
    return Finding("version", "ok", f"{server.name}")


def role(server: ServerFacts) -> Finding:
    """A server that takes writes."""
    if server.info.get("role") == "slave":
        master = f"{server.info.get('master_host')}:{server.info.get('master_port')}"
        return Finding(
            *("role", "error", f"it is a replica of {master}, and refuses what peers write"),
            "Use the address of the master, or redis+sentinel://…, which follows it.",
        )
    return Finding("role", "ok", "it takes writes")


def timeout(server: ServerFacts) -> Finding:
    """`timeout 0`: it closes no silent connection."""
    value = server.config.get("timeout")
    if value is None:
        return _untold("timeout", "timeout", "0")
    if value != "0":
        return Finding(
            *("timeout", "error", f"the server closes connections that are silent for {value} s"),
            "CONFIG SET timeout 0, and the same in redis.conf: R workers hold silent connections, and "
            "fail with `ignoring SIGPIPE signal` when one is closed.",
        )
    return Finding("timeout", "ok", "silent connections stay open")


def eviction(server: ServerFacts) -> Finding:
    """`maxmemory-policy noeviction`: it throws nothing away."""
    policy = server.info.get("maxmemory_policy")
    if policy is None:
        return _untold("eviction", "maxmemory-policy", "noeviction")
    if policy != "noeviction":
        limit = server.info.get("maxmemory", 0)
        when = "when memory is short" if limit else "once maxmemory is set"
        return Finding(
            *("eviction", "error" if limit else "warning"),
            f"maxmemory-policy is {policy}: the server removes keys {when}, and jobs with them",
            "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf. A server that is a cache, "
            "too, should be another one.",
        )
    return Finding("eviction", "ok", "no key is evicted")


def persistence(server: ServerFacts) -> Finding:
    """What a restart leaves; and whether the last attempt to save went well."""
    info = server.info
    saves = server.config.get("save")
    if info.get("loading"):
        return Finding("persistence", "error", "the server still loads its data", "Wait until it has.")
    failed = [
        what
        for what, field in (("saving (RDB)", "rdb_last_bgsave_status"), ("the AOF", "aof_last_write_status"))
        if info.get(field, "ok") != "ok"
    ]
    if failed:
        return Finding(
            *("persistence", "error", f"{' and '.join(failed)} failed: the server may refuse to write"),
            "Look into its log; mostly the disk is full, or its directory (CONFIG GET dir) not writable.",
        )
    if info.get("aof_enabled"):
        return Finding("persistence", "ok", "queued tasks and results outlive a restart (appendonly)")
    if saves is None:
        return _untold("persistence", "appendonly", "yes")
    what = "is lost" if not saves else "since the last save is lost"
    return Finding(
        *("persistence", "warning", f"appendonly is off: at a restart, what was queued or answered {what}"),
        "CONFIG SET appendonly yes, and the same in redis.conf, if jobs are to outlive a restart. R "
        "coordinators wait for ever for what was lost; ours submit it again.",
    )


def exposure(server: ServerFacts) -> Finding:
    """Who can reach it, and needs a password: whoever writes to a queue runs code on its workers."""
    advice = (
        "Set `requirepass` (or ACL users, `pydoredis acl`), `protected-mode yes`, and `bind` to the private "
        "network alone; docs/security.md says why."
    )
    if server.lets_everybody_in is None:
        return Finding("exposure", "unknown", "whether it wants a password cannot be told", advice)
    if not server.lets_everybody_in:
        if server.loopback or server.encrypted:
            return Finding("exposure", "ok", "it wants a password")
        return Finding(
            *("exposure", "note", "it wants a password, which goes over the network in the clear"),
            "On a network of others use TLS (rediss://) or a tunnel.",
        )
    bind, protected = server.config.get("bind"), server.config.get("protected-mode")
    if not server.loopback:
        return Finding(
            *("exposure", "error", f"whoever reaches {server.address} needs no password"),
            f"It runs code on all workers of its queues. {advice}",
        )
    if bind is None or protected is None:
        return Finding(
            "exposure", "unknown", "it wants no password here; who else reaches it cannot be told", advice
        )
    public = [address for address in bind.split() if not _is_loopback(address)] or ([] if bind else ["*"])
    if not public or int(server.info.get("tcp_port", 1)) == 0:
        return Finding("exposure", "ok", "it wants no password, and listens on this machine alone")
    # Before Redis 7, protected mode was off where `bind` was said.
    if protected == "yes" and (server.version >= (7,) or not bind):
        return Finding(
            *("exposure", "warning", f"it wants no password, and listens on {' '.join(public)}"),
            f"Only its protected mode keeps others out. {advice}",
        )
    return Finding(
        *("exposure", "error", f"it listens on {' '.join(public)}, and wants no password"),
        f"Whoever reaches it runs code on all workers of its queues. {advice}",
    )


def clients(server: ServerFacts) -> Finding:
    """Room for more connections."""
    limit = server.info.get("maxclients") or server.config.get("maxclients")
    now, refused = (
        int(server.info.get("connected_clients", 0)),
        int(server.info.get("rejected_connections", 0)),
    )
    if limit is None:
        return _untold("clients", "maxclients", "more than twice the number of R workers and agents")
    share = now / max(1, int(limit))
    said = f"{counted(now, 'connection')} of {int(limit):,}"
    advice = (
        "CONFIG SET maxclients, and the same in redis.conf; an R worker has two connections, an agent of "
        "ours one."
    )
    if share > 0.9:
        return Finding("clients", "error", f"{said}: soon it takes no more", advice)
    if share > 0.7 or refused:
        turned_away = f"; {refused:,} were refused since it was started" if refused else ""
        return Finding("clients", "warning", said + turned_away, advice)
    return Finding("clients", "ok", said)


def memory(server: ServerFacts) -> Finding:
    """Room for more tasks and results."""
    used, limit = int(server.info.get("used_memory", 0)), int(server.info.get("maxmemory", 0))
    machine = int(server.info.get("total_system_memory", 0))
    whole, which = (limit, "maxmemory") if limit else (machine, "the memory of its machine")
    if not whole:
        return Finding("memory", "ok", f"{used / 1e6:,.1f} MB are in use")
    share, said = used / whole, f"{used / 1e6:,.1f} MB of {whole / 1e6:,.1f} MB ({which}) are in use"
    advice = "Raise maxmemory or take a larger machine; or remove what nobody needs (`pydoredis jobs`)."
    if share > 0.9:
        return Finding("memory", "error", said, advice)
    if share > 0.7:
        return Finding("memory", "warning", said, advice)
    return Finding("memory", "ok", said)


def values(server: ServerFacts) -> Finding:
    """How large a task, a result or an environment may be."""
    value = server.config.get("proto-max-bulk-len")
    if value is None:
        return _untold("values", "proto-max-bulk-len", "512mb")
    if int(value) < BULK:
        return Finding(
            *("values", "warning", f"it takes no value of more than {int(value) / 1e6:,.1f} MB"),
            "CONFIG SET proto-max-bulk-len 512mb, and the same in redis.conf: larger results, and exports of "
            "R bodies, fail.",
        )
    return Finding("values", "ok", f"it takes values up to {int(value) / 1e6:,.1f} MB")


def latency(server: ServerFacts) -> Finding:
    """How long a round trip takes."""
    if not server.round_trips_s:
        return Finding("latency", "unknown", "no round trip was measured")
    middle = server.round_trips_s[len(server.round_trips_s) // 2]
    said = f"a round trip takes {middle * 1e3:.2f} ms (at most {server.round_trips_s[-1] * 1e3:.2f})"
    if middle > VERY_SLOW_S:
        return Finding(
            *("latency", "warning", said),
            "Bring Redis nearer to the workers, look whether network or server are too busy (SLOWLOG GET, "
            "LATENCY DOCTOR), and make tasks longer (`chunk_size`).",
        )
    if middle > SLOW_S:
        return Finding("latency", "note", said, "Make short tasks longer: `chunk_size`, setChunkSize().")
    return Finding("latency", "ok", said)


def clock(server: ServerFacts) -> Finding:
    """Whether its clock and the one here agree."""
    apart = abs(server.clock_ahead_s)
    direction = "ahead of" if server.clock_ahead_s > 0 else "behind"
    if apart - server.clock_error_s > CLOCKS_S:
        return Finding(
            *("clock", "warning", f"its clock is {apart:,.1f} s {direction} the one here"),
            "Set both with NTP (`timedatectl set-ntp true`): what ended is forgotten too early or too late, "
            "and times in tables mislead.",
        )
    return Finding("clock", "ok", "its clock agrees with the one here")


CHECKS: Final[tuple[Callable[[ServerFacts], Finding], ...]] = (
    *(version, role, timeout, eviction, persistence, exposure, clients, memory, values, latency, clock),
)


def _untold(check: str, setting: str, wanted: str) -> Finding:
    return Finding(
        *(check, "unknown", f"the server does not tell this user its `{setting}`"),
        f"Ask whoever runs it: CONFIG GET {setting} should say {wanted}.",
    )


def _is_loopback(address: str) -> bool:
    address = address.lstrip("-")
    return address in ("::1", "localhost") or address.startswith("127.")
