"""The commands of an agent on a real Redis: what they write, what they decide, and that twice is once."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import pytest
import redis

import rinterop
from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol import wire
from pydoredis.protocol.agent_commands import RefusedError
from pydoredis.protocol.claims import Claim
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Task
from pydoredis.settings import ConnectionSettings
from pydoredis.store.agent import LARGE_RESULT
from pydoredis.store.late_results import SWEEPERS, SweepingStore
from tests.agent_store import HERE, JOB, KEYS, AgentStore, make_claim
from tests.worker import test_executor_python as python_codec


class TestJoining:
    def test_opens_the_queue_and_counts_as_r_does(self, store: AgentStore, redis_client: redis.Redis) -> None:
        store.announce(open=True)
        assert redis_client.get("Q.live") == wire.LIVE_VALUE
        assert len(wire.LIVE_VALUE) == 39
        assert redis_client.get("Q.count") == b"2"

    def test_leaves_a_live_key_alone(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.set("Q.live", b"already")
        store.announce(open=True)
        assert redis_client.get("Q.live") == b"already"

    def test_leaving_counts_down_but_never_below_zero(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        store.announce(open=True)
        redis_client.incr("Q.count")
        store.leave()
        assert redis_client.get("Q.count") == b"1"
        store.announce()
        redis_client.set("Q.count", 1)
        store.leave()
        assert redis_client.get("Q.count") == b"0"

    def test_leaving_a_removed_queue_creates_nothing(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        store.leave()
        assert redis_client.keys("*") == []


class TestTaking:
    def test_a_later_queue_is_looked_at_only_when_the_earlier_is_empty(
        self, redis_url: str, redis_client: redis.Redis
    ) -> None:
        second = QueueKeys("größe 2")
        first = [python_codec.task({"i": n}, first=n) for n in (1, 2)]
        later = [python_codec.task({"i": n}, first=n) for n in (3, 4)]
        redis_client.rpush("Q", *first)
        redis_client.rpush(second.queue, *later)
        with AgentStore(ConnectionSettings(redis_url), [KEYS, second]) as store:
            taken = store.take(3)
        assert [(task.keys, task.payload) for task in taken.tasks] == [
            *((KEYS, payload) for payload in first),
            (second, later[0]),
        ]
        assert taken.more
        assert redis_client.lrange(second.queue, 0, -1) == later[1:]

    def test_taken_is_marked(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.set(KEYS.env("J"), b"environment")
        redis_client.rpush("Q", python_codec.task({"i": 5}, {"i": 6}, first=5))
        (task,) = store.take(1).tasks
        assert task.tag == "iters 5...6 host host pid 70 begin 2026-11-23-11:45:31"
        assert redis_client.get(KEYS.start("J", task.tag)) == wire.encode_start((5, 6))
        assert 0 < redis_client.pttl(KEYS.alive("J", task.tag)) <= 10_000

    def test_the_same_batch_again_gives_the_same(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.set(KEYS.env("J"), b"environment")
        redis_client.rpush("Q", *(python_codec.task({"i": n}, first=n) for n in range(1, 6)))
        first = store.take(2, batch=7)
        assert store.take(2, batch=7) == first
        assert redis_client.llen("Q") == 3
        assert store.take(2, batch=8).tasks != first.tasks
        assert store.take(2, batch=7).tasks == (), "its reply is waited for by nobody"
        assert redis_client.llen("Q") == 1

    def test_ahead_is_counted_by_job(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.set(KEYS.env("J"), b"environment")
        redis_client.rpush("Q", *(python_codec.task({"i": n}, first=n) for n in range(1, 9)))
        assert len(store.take(0, {KEYS.env("other"): 5}).tasks) == 0
        assert len(store.take(1, {KEYS.env("J"): 2}).tasks) == 3
        assert redis_client.llen("Q") == 5

    def test_what_cannot_be_read_is_set_aside(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.rpush("Q", b"just text")
        (task,) = store.take(1).tasks
        assert (task.payload, task.tag) == (b"just text", None)
        assert redis_client.lrange(KEYS.aside("agent"), 0, -1) == [b"just text"]
        store.execute(commands.Bury(KEYS, b"just text"))
        store.execute(commands.Bury(KEYS, b"just text"))
        assert redis_client.lrange(KEYS.dead, 0, -1) == [b"just text"]
        assert not redis_client.exists(KEYS.aside("agent"))

    def test_environments_that_are_read_known_or_too_large(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        task = python_codec.task({"i": 1})
        env = KEYS.env("J")
        redis_client.rpush("Q", *[task] * 4)
        assert store.take(1).environments == {env: None}
        redis_client.set(env, b"small")
        assert store.take(1).environments == {env: b"small"}
        redis_client.set(env, b"x" * 100_000)
        assert store.take(1).environments == {env: "unread"}
        known = commands.Take(9, 1, {}, {env: 100_000}, (70,), "now")
        assert store.execute(known).environments == {env: "known"}


class TestMembership:
    def test_twice_counts_once(self, store: AgentStore, redis_client: redis.Redis) -> None:
        assert store.announce(open=True).joined == (KEYS,)
        assert store.announce(open=True).joined == ()
        assert redis_client.get("Q.count") == b"2"
        store.leave()
        store.leave()
        assert redis_client.get("Q.count") == b"0"

    def test_an_agent_that_died_is_forgotten(
        self, store: AgentStore, redis_url: str, redis_client: redis.Redis
    ) -> None:
        other = dataclasses.replace(HERE, id="other", workers=3)
        store.announce(open=True)
        redis_client.rpush("Q", b"just text")
        with AgentStore(ConnectionSettings(redis_url), [KEYS], other) as dead:
            dead.announce()
            dead.take(1)
        assert redis_client.get("Q.count") == b"5"
        redis_client.delete(KEYS.agent("other"))
        for _ in range(2):
            store.execute(commands.Sweep(KEYS))
            assert redis_client.get("Q.count") == b"2"
            assert redis_client.lrange("Q", 0, -1) == [b"just text"], "what it had set aside is back"
        assert redis_client.hkeys(KEYS.agents) == [b"agent"]

    @pytest.mark.parametrize(
        ("agents", "lot", "sweeps"),
        [(SWEEPERS, 0.999, True), (1000, 0.0099, True), (1000, 0.0101, False), (1000, 1e-12, True)],
    )
    def test_of_many_agents_few_sweep(
        self,
        store: AgentStore,
        redis_client: redis.Redis,
        monkeypatch: pytest.MonkeyPatch,
        agents: int,
        lot: float,
        sweeps: bool,
    ) -> None:
        monkeypatch.setattr(random, "random", lambda: lot)
        store.announce(open=True)
        redis_client.hset(KEYS.agents, mapping={f"dead {n}": 1 for n in range(agents - 1)})
        store.execute(commands.Sweep(KEYS))
        assert redis_client.hlen(KEYS.agents) == (1 if sweeps else agents)

    def test_a_coordinator_always_sweeps(self, redis_url: str, redis_client: redis.Redis) -> None:
        redis_client.hset(KEYS.agents, mapping={f"dead {n}": 1 for n in range(1000)})
        with contextlib.closing(SweepingStore(ConnectionSettings(redis_url))) as coordinator:
            coordinator.sweep(KEYS)
        assert not redis_client.exists(KEYS.agents)

    def test_nothing_on_a_queue_that_is_not_open(self, store: AgentStore, redis_client: redis.Redis) -> None:
        assert store.announce() == commands.Announced(open=False, agents=1)
        assert redis_client.keys("*") == []


class TestMarking:
    def test_writes_what_a_coordinator_looks_for(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        assert redis_client.get(marked.start) == rinterop.dumps(rinterop.values.integer(1))
        assert 0 < redis_client.pttl(marked.alive) <= 10_000
        assert redis_client.ttl(marked.start) == -1

    def test_knows_which_tasks_killed_executors(self, store: AgentStore, redis_client: redis.Redis) -> None:
        bad, good = make_claim(3, 4), make_claim(5, 6)
        for _ in range(2):
            (crash,) = store.count_crash(bad, 4, "killed by SIGKILL")
            assert (crash.iteration, crash.deaths, crash.cause) == (4, 1, "killed by SIGKILL")
        (crash,) = store.count_crash(bad, 4, "killed by SIGSEGV", death=2)
        assert (crash.iteration, crash.deaths, crash.cause) == (4, 2, "killed by SIGSEGV")
        assert store.crashes(bad) == (crash,)
        assert store.crashes(good) == ()
        (block,) = store.count_crash(good, None, "killed")
        assert (block.iteration, block.deaths) == (None, 1)


class Results:
    """Tests with small results and with large ones, which go another way."""

    @pytest.fixture(autouse=True, params=["small", "large"])
    def result_of_any_size(self, request: pytest.FixtureRequest) -> None:
        self.result = b"r" * (LARGE_RESULT if request.param == "large" else LARGE_RESULT - 1)


class TestPublishing(Results):
    def publish(self, store: AgentStore, claim: Claim) -> str | None:
        return store.publish((claim, self.result))[0]

    def test_pushes_clears_start_and_lets_alive_expire(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        assert self.publish(store, marked) == "published"
        assert redis_client.lrange(KEYS.out(JOB), 0, -1) == [self.result]
        assert not redis_client.exists(marked.start)
        assert 2000 < redis_client.pttl(marked.alive) <= 3000
        assert redis_client.ttl(KEYS.published(JOB)) > 0

    def test_twice_does_it_once(self, store: AgentStore, redis_client: redis.Redis, marked: Claim) -> None:
        assert self.publish(store, marked) == "published"
        assert self.publish(store, marked) == "published"
        assert redis_client.llen(KEYS.out(JOB)) == 1

    def test_nothing_for_a_job_that_is_over(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(KEYS.env(JOB))
        assert self.publish(store, marked) == "job-gone"
        assert not redis_client.exists(KEYS.out(JOB), marked.start)

    def test_not_what_another_of_ours_published(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        copy = make_claim(1, tag="iters 1...1 host other pid 3 begin now")
        store.mark([copy])
        assert self.publish(store, marked) == "published"
        assert self.publish(store, copy) == "duplicate"
        assert self.publish(store, copy) == "duplicate"
        assert redis_client.llen(KEYS.out(JOB)) == 1
        assert not redis_client.exists(copy.start)

    def test_again_if_the_coordinator_asks_a_third_time(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        """It lost the first result with its connection: refusing for ever would hang the loop."""
        second, third = (make_claim(1, tag=f"iters 1...1 host {host} pid 3 begin now") for host in ("b", "c"))
        store.mark([second, third])
        assert self.publish(store, marked) == "published"
        assert self.publish(store, second) == "duplicate"
        assert self.publish(store, third) == "published"
        assert redis_client.llen(KEYS.out(JOB)) == 2

    def test_not_what_was_resubmitted_after_a_lapse(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert store.beat([marked]) == ["lapsed"]
        redis_client.delete(marked.start)
        assert self.publish(store, marked) == "resubmitted"
        assert not redis_client.exists(KEYS.out(JOB))

    def test_after_a_lapse_that_nobody_noticed(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        store.beat([marked])
        assert self.publish(store, marked) == "published"

    def test_not_after_a_lapse_without_start_key_before_any_heartbeat(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive, marked.start)
        assert self.publish(store, marked) == "resubmitted"
        assert not redis_client.exists(KEYS.out(JOB))

    def test_leaves_an_alive_key_for_a_while_after_a_lapse_too(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert self.publish(store, marked) == "published"
        assert 2000 < redis_client.pttl(marked.alive) <= 3000

    def test_if_a_third_party_deleted_the_start_key(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start)
        assert self.publish(store, marked) == "published"

    def test_a_server_that_refuses_leaves_the_result_with_us(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.config_set("maxmemory", 1)
        try:
            with contextlib.suppress(RefusedError):  # what a transaction says, and a script does not
                assert self.publish(store, marked) is None
        finally:
            redis_client.config_set("maxmemory", 0)
        assert self.publish(store, marked) == "published"


class TestBeating:
    def test_refreshes(self, store: AgentStore, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.pexpire(marked.alive, 500)
        assert store.beat([marked]) == ["alive"]
        assert redis_client.get(marked.alive) == b"OK"
        assert redis_client.pttl(marked.alive) > 9000

    def test_puts_back_a_start_key_that_a_third_party_deleted(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start)
        assert store.beat([marked]) == ["restored"]
        assert redis_client.get(marked.start) == marked.start_value

    def test_does_not_restore_what_was_published(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.publish((marked, b"result"))
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_does_not_restore_what_was_given_back(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.give_back([marked], "head")
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_does_not_restore_for_a_job_that_is_over(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.start, marked.env)
        store.beat([marked])
        assert not redis_client.exists(marked.start)

    def test_a_lapse_is_remembered(self, store: AgentStore, redis_client: redis.Redis, marked: Claim) -> None:
        redis_client.delete(marked.alive)
        store.beat([marked])
        assert marked.lapsed
        assert redis_client.exists(marked.alive), "nobody took the task yet: it is alive again"
        assert store.beat([marked]) == ["alive"]
        assert marked.lapsed


class TestForOurCoordinators(Results):
    def test_leaves_neither_marks_nor_a_record(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.ours = True
        redis_client.expire(marked.env, 100)
        assert store.publish((marked, self.result)) == ["published"]
        assert not redis_client.exists(marked.start, marked.alive, marked.published)
        assert 0 < int(redis_client.ttl(marked.out)) <= 100

    def test_one_that_cannot_be_published_does_not_hold_up_the_others(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        bad = Claim(KEYS, Task("J2", (1,), b"task"), "iters 1...1 host h pid 2 begin now", "bad claim")
        good = make_claim(2, tag="iters 2...2 host h pid 2 begin now")
        for claim in (bad, good):
            redis_client.set(claim.env, b"environment")
        store.mark([bad, good])
        redis_client.set(bad.out, "no list")
        assert store.publish((bad, b"1"), (good, self.result)) == [None, "published"]
        redis_client.delete(bad.out)
        assert store.publish((bad, self.result), (good, b"2")) == ["published", "published"]
        assert redis_client.lrange(bad.out, 0, -1) == [self.result]
        assert redis_client.lrange(good.out, 0, -1) == [self.result]

    def test_what_is_refused_is_taken_off_again(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        """Results of several jobs, of ours and of R's, of which some are not to be published."""
        tags = [f"iters {n}...{n} host h pid 2 begin now" for n in range(8)]
        ours = [Claim(KEYS, Task("J2", (n,), b"task"), tags[n], f"claim {n}", ours=True) for n in (1, 2)]
        gone = [Claim(KEYS, Task("J3", (n,), b"task"), tags[n], f"gone {n}") for n in (3, 4)]
        again = make_claim(1, tag="iters 1...1 host other pid 3 begin now")
        late = make_claim(9, tag="iters 9...9 host h pid 3 begin now")
        redis_client.set(ours[0].env, b"environment", ex=100)
        store.mark([*ours, again, late])
        redis_client.delete(late.start, late.alive)
        redis_client.lpush(marked.out, b"of R's worker")
        results = [
            *((gone[0], b"1"), (late, b"2"), (ours[0], b"3"), (marked, self.result)),
            *((again, b"5"), (gone[1], self.result), (ours[1], self.result)),
        ]
        said = ["job-gone", "resubmitted", "published", "published", "duplicate", "job-gone", "published"]
        assert store.publish(*results) == said
        assert redis_client.lrange(ours[0].out, 0, -1) == [self.result, b"3"]
        assert redis_client.lrange(marked.out, 0, -1) == [self.result, b"of R's worker"]
        assert not redis_client.exists(gone[0].out)


class TestGivingBack:
    def test_to_the_head_in_order(self, store: AgentStore, redis_client: redis.Redis) -> None:
        claims = [make_claim(n, tag=f"tag {n}", payload=b"%d" % n) for n in (1, 2, 3)]
        redis_client.set(claims[0].env, b"environment")
        redis_client.rpush("Q", b"later")
        store.mark(claims)
        assert store.give_back(claims, "head") == ["given-back"] * 3
        assert redis_client.lrange("Q", 0, -1) == [b"1", b"2", b"3", b"later"]
        assert not redis_client.keys("Q.start.*")

    def test_twice_does_it_once(self, store: AgentStore, redis_client: redis.Redis, marked: Claim) -> None:
        store.give_back([marked], "tail")
        store.give_back([marked], "tail")
        assert redis_client.llen("Q") == 1

    def test_again_when_it_was_taken_again_under_the_same_tag(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        """Tags count whole seconds: a task that is refused twice in one must not vanish the second time."""
        assert store.give_back([marked], "tail") == ["given-back"]
        again = Claim(KEYS, marked.task, marked.tag, "another claim")
        redis_client.delete("Q")
        store.mark([again])
        assert store.give_back([again], "tail") == ["given-back"]
        assert redis_client.llen("Q") == 1

    def test_not_what_was_resubmitted_before_any_heartbeat(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive, marked.start)
        assert store.give_back([marked], "head") == ["resubmitted"]
        assert not redis_client.exists("Q")

    def test_not_what_was_resubmitted(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.lapsed = True
        redis_client.delete(marked.start)
        assert store.give_back([marked], "head") == ["resubmitted"]
        assert not redis_client.exists("Q")

    def test_not_for_a_job_that_is_over(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.env)
        assert store.give_back([marked], "head") == ["job-gone"]
        assert not redis_client.exists("Q", marked.start)


class TestRecords:
    def test_kept_while_the_job_lives_and_no_longer(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        store.publish((marked, b"result"))
        redis_client.expire(KEYS.published(JOB), 5)
        assert store.keep_records([(KEYS, JOB)])[0]
        assert redis_client.ttl(KEYS.published(JOB)) > 100
        redis_client.delete(KEYS.env(JOB))
        assert not store.keep_records([(KEYS, JOB)])[0]
        assert not redis_client.exists(KEYS.published(JOB))

    def test_dead_letters_are_bounded(
        self, store: AgentStore, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pydoredis.store.agent.MAX_DEAD", 2)
        for payload in (b"1", b"2", b"3"):
            store.bury(KEYS, payload)
        assert redis_client.lrange(KEYS.dead, 0, -1) == [b"2", b"3"]
