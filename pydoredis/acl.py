"""Users of a Redis server who may do what a peer does, on the keys of its queues, and no more.

Each role's commands are those that its code issues, those within scripts included: Redis asks for both.
`tests/test_acl.py` runs each role with just these. AUTH, HELLO, QUIT and RESET are allowed to everybody.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Literal

from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import QueueKeys, check_queue_name, is_for_python_peers_only

Role = Literal["worker", "coordinator", "viewer"]

PLACEHOLDER: Final = "#<SHA-256-of-the-password-in-hex>"
"""Stands for the password. Redis refuses it, so that nobody takes it over as it is."""

# Being there, and what tells whether the server is the same as before.
_CONNECTION: Final = "ping select info time"
_SCRIPTS: Final = "eval evalsha script|load multi exec"
# By type of what is kept.
_READ: Final = (
    "exists type pttl scan get getrange mget strlen llen lindex lrange lpos hget hmget hgetall hkeys hlen "
    "hexists hscan zrange zrandmember"
)
_WRITE: Final = (
    "del unlink expire pexpire set incrby lpush rpush lset lrem ltrim lmove hset hsetnx hincrby hdel zadd "
    "zrem zremrangebyscore"
)
# Has Redis tell of new tasks; and waits for results.
_TRACK: Final = "client|tracking client|caching"
_WAIT: Final = "blmove"

COMMANDS: Final[dict[Role, tuple[str, ...]]] = {
    # Its bodies may run loops on the queue, so it may do what coordinators do.
    "worker": tuple(" ".join((_CONNECTION, _SCRIPTS, _READ, _WRITE, _TRACK, _WAIT)).split()),
    "coordinator": tuple(" ".join((_CONNECTION, _SCRIPTS, _READ, _WRITE, _WAIT)).split()),
    "viewer": tuple(" ".join((_CONNECTION, "evalsha script|load multi exec", _READ)).split()),
}
"""What each role may do, on its own keys where a command takes keys."""

OF_R: Final = ("incr", "decr", "blpop", "brpop", "keys")
"""What R's own peers use besides."""

_OF_CLUSTERS: Final = ("cluster|slots", "command")
_USER: Final = re.compile(r"[^\s\0#>!~&%+@()]+")


def acl_rules(
    role: Role,
    queues: Sequence[str],
    *,
    password_hash: str | None = None,
    values: Sequence[str] = (),
    r_peers: bool = False,
) -> list[str]:
    """The rules of a user, as ACL SETUSER takes them.

    Args:
        role: What the user is to do.
        queues: On which queues.
        password_hash: SHA-256 of the password, in hex; None for a placeholder, which Redis refuses.
        values: Patterns of the keys of values that users share (`redisSet`, `redis_set`).
        r_peers: Whether R's own peers use it, too: then it may also list the names of all keys.

    Raises:
        ConfigError: If a queue's name would break R peers, or a pattern has a space in it.
    """
    if not queues:
        raise ConfigError("queue", None, "named: --queue NAME")
    patterns: list[str] = []
    for queue in map(check_queue_name, queues):
        patterns += (f"~{queue}", f"~{queue}.*", f"~{QueueKeys(queue).side_prefix}*")
    # A pattern of Redis takes no space; this one stands for any character.
    patterns = [re.sub(r"\s", "?", pattern) for pattern in patterns]
    for pattern in values:
        if not pattern or any(character.isspace() for character in pattern):
            raise ConfigError("values", pattern, "a pattern of keys without spaces, as 'shared:*'")
        patterns.append(f"~{pattern}")
    commands = [*COMMANDS[role], *(OF_R if r_peers else ())]
    if any(map(is_for_python_peers_only, queues)):
        commands += _OF_CLUSTERS
    secret = PLACEHOLDER if password_hash is None else f"#{password_hash}"
    # Redis 6.2 gives a new user all channels, unless it is told otherwise.
    known = ("reset", "on", secret, *dict.fromkeys(patterns), "resetchannels")
    return [*known, *(f"+{command}" for command in commands)]


def acl_command(user: str, rules: Sequence[str]) -> str:
    """The line for redis-cli that makes the user."""
    return f"ACL SETUSER {_checked(user)} {' '.join(rules)}"


def acl_file_line(user: str, rules: Sequence[str]) -> str:
    """The line for redis.conf, or for a file of users (`aclfile`)."""
    # A user in a file is new: there is nothing to reset.
    return f"user {_checked(user)} {' '.join(rule for rule in rules if rule != 'reset')}"


def hash_password(password: str) -> str:
    """What stands for a password in a rule.

    Raises:
        ConfigError: If it is empty.
    """
    if not password:
        raise ConfigError("password", "", "longer than that")
    return hashlib.sha256(password.encode()).hexdigest()


def _checked(user: str) -> str:
    if not _USER.fullmatch(user):
        raise ConfigError("user", user, "a name without spaces and without any of # > ! ~ & % + @ ( )")
    return user
