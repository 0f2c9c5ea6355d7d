"""What `foreach` and its options take, and what they refuse: mostly without a queue, as nothing runs."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import cloudpickle
import numpy as np
import pytest

import pydoredis as dr
import rinterop
from pydoredis.combine.accumulate import CombineSpec
from pydoredis.combine.functions import NAMED
from pydoredis.errors import ConfigError, LocalProtocolError, TaskError
from pydoredis.loops import signature
from pydoredis.loops.bodies import codec_for
from pydoredis.loops.names import near, unmentioned
from pydoredis.loops.options import NAMES, JobOptions, Options, check_names, resolve
from pydoredis.protocol.r import RCodec
from pydoredis.queue import Queue

cloudpickle.register_pickle_by_value(sys.modules[__name__])

K = 5
"""A global variable of this program."""


class TestSignatures:
    def test_options_are_spelled_out_everywhere(self) -> None:
        assert set(Options.__annotations__) == NAMES
        everything = {*NAMES, *inspect.signature(CombineSpec).parameters, "errorhandling"}
        runtime = inspect.signature(dr.foreach).parameters
        assert set(runtime) == {"iterators", *everything, "variables"}
        assert list(inspect.signature(Queue.foreach).parameters)[1:] == list(runtime)

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 tells overloads")
    def test_overloads(self) -> None:
        overloads = typing.get_overloads(dr.foreach)  # type: ignore[attr-defined,unused-ignore]
        expected = set(inspect.signature(dr.foreach).parameters)
        assert len(overloads) == 4
        assert all(set(inspect.signature(one).parameters) == expected for one in overloads)

    def test_names_of_combine_functions(self) -> None:
        assert set(get_args(signature.CombineName)) == set(NAMED)

    def test_types_of_options_agree(self) -> None:
        fields = get_type_hints(JobOptions)
        for name, hint in get_type_hints(Options).items():
            assert hint == fields[name]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("exports", "export"),
            ("package", "packages"),
            ("inordr", "inorder"),
            ("in_order", "inorder"),
            ("chunkSize", "chunk_size"),
            (".combine", "combine"),
            ("errorhandlng", "errorhandling"),
            ("errorhanlding", "errorhandling"),
            ("sede", "seed"),
            ("seeds", "seed"),
            ("time_limit", "timelimit"),
            ("worker_initt", "worker_init"),
            ("multi_combin", "multicombine"),
        ],
    )
    def test_nearly_an_option(self, name: str, meant: str) -> None:
        with pytest.raises(ConfigError, match=rf"spelled {meant}.*foreach\(\{{'{name}'"):
            dr.foreach(range(3), **{name: [1]})  # type: ignore[call-overload]
        assert dr.foreach({name: range(2)}).do(lambda **named: named) == [{name: 0}, {name: 1}]

    @pytest.mark.parametrize(
        "name",
        *(
            [
                "x",
                "i",
                "unit",
                "speed",
                "feed",
                "order",
                "part",
                "interval",
                "limit",
                "port",
                "comb",
                "initial",
            ],
        ),
    )
    def test_other_names(self, name: str) -> None:
        variable: Any = {name: range(3)}
        assert dr.foreach(**variable).do(lambda **named: named[name]) == [0, 1, 2]

    def test_verbose(self) -> None:
        with pytest.raises(ConfigError, match="logging"):
            dr.foreach(x=[1], verbose=True)  # type: ignore[call-overload]

    def test_a_name_twice(self) -> None:
        with pytest.raises(ConfigError, match="one variable"):
            dr.foreach({"x": [1]}, x=[2])

    def test_names_of_options_are_suggested(self) -> None:
        for name, hint in {
            "chunksize": "must be chunk_size",
            "frobnicate": "one of backoff, chunk_size, conv",
        }.items():
            with pytest.raises(ConfigError, match=hint):
                check_names({name: 3})
        assert near("chunk_size", NAMES) is None


class TestSources:
    @pytest.mark.parametrize(
        ("source", "hint"),
        [
            ("abc", "list(text)"),
            (b"abc", "list(text)"),
            ({"a": 1}, "x.values()"),
            (types, "iterable"),
            (3, "icount"),
            (True, "icount"),
            (None, "icount"),
            (np.array(3), "icount"),
        ],
        ids=repr,
    )
    def test_what_is_hardly_meant(self, source: Any, hint: str) -> None:
        with pytest.raises(ConfigError, match="x = ") as caught:
            dr.foreach(x=source)
        assert hint in str(caught.value)
        with pytest.raises(ConfigError, match="x = "):
            dr.foreach({"x": source})
        if not isinstance(source, dict):
            with pytest.raises(ConfigError, match="argument 2"):
                dr.foreach([1], source)

    def test_data_frames(self) -> None:
        pandas = pytest.importorskip("pandas")
        with pytest.raises(ConfigError, match=r"rows\(x\)"):
            dr.foreach(x=pandas.DataFrame({"a": [1]}))
        assert dr.foreach(pandas.Series([1, 2])).do(int) == [1, 2]

    def test_a_value_whose_repr_raises(self) -> None:
        class Mute:
            def __repr__(self) -> str:
                raise RuntimeError("no repr")

        with pytest.raises(ConfigError, match=r"x = <.*Mute, of which repr\(\) raises RuntimeError>"):
            dr.foreach(x=Mute())  # type: ignore[call-overload]
        with pytest.raises(ConfigError) as caught:
            dr.foreach(x=3, seed=[1] * 10_000)  # type: ignore[call-overload]
        assert len(str(caught.value)) < 500


class TestOptions:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("seed", True),
            ("seed", 1.5),
            ("packages", "numpy"),
            ("packages", [np]),
            ("noexport", [1]),
            ("packages", None),
            ("export", None),
            ("reduce", 3),
            ("progress", "yes"),
            ("convert", None),
            ("export", "K"),
            ("export", 3),
            ("export", [3]),
            ("export", [lambda: 1]),
            ("export", {3: 4}),
            ("chunk_size", True),
            ("errorhandling", "ignore"),
        ],
    )
    def test_values_that_make_no_sense(self, name: str, value: Any) -> None:
        with pytest.raises(ConfigError, match=name):
            dr.foreach(x=[1], **{name: value})

    def test_a_seed_of_numpy(self, queue: Queue) -> None:
        seeds: list[Any] = [7, np.int64(7)]
        loops = [queue.foreach(dr.icount(2), seed=seed) for seed in seeds]
        assert loops[0].dopar(lambda: dr.rng().random()) == loops[1].dopar(lambda: dr.rng().random())

    def test_those_of_nested_blocks_add_up(self) -> None:
        with (
            dr.options(export={"a": 1, "b": 1}, chunk_size=2),
            dr.options(export={"b": 2}, packages=["json"]),
        ):
            options = resolve({"packages": ["math"]})
        assert (options.chunk_size, options.packages) == (2, ("math", "json"))
        assert options.export.variables == {"a": 1, "b": 2}  # type: ignore[union-attr]
        assert resolve() == JobOptions()

    def test_those_of_nested_loops_add_up(self) -> None:
        inner = dr.foreach(j=[1], export={"a": 1, "b": 1}, packages=["math"], chunk_size=2)
        outer = dr.foreach(i=[1], export={"b": 2}, packages=["json"], chunk_size=3).nest(inner)
        options = resolve(*outer.chosen)
        assert options.chunk_size == 3
        assert options.packages == ("json", "math")
        assert options.export.variables == {"a": 1, "b": 2}  # type: ignore[union-attr]


def multiplied(x: int) -> int:
    return x * K


def use_unknown(x: int) -> Any:
    return x * factor  # type: ignore[name-defined]  # noqa: F821


class Callable_:  # noqa: N801
    def __call__(self, x: int) -> Any:
        return use_unknown(x)


@pytest.fixture(params=["dopar", "do"])
def run(request: pytest.FixtureRequest, queue: Queue) -> Callable[..., Any]:
    """Runs a body once for each of 1, 2 and 3, with some exports."""

    def loop(body: Any, export: Any, **options: Any) -> Any:
        made = queue.foreach(x=[1, 2, 3], export=export, **options)
        return made.dopar(body) if request.param == "dopar" else made.do(body)

    return loop


class TestExports:
    def test_a_name_is_that_of_a_variable(self, run: Callable[..., Any]) -> None:
        assert run(lambda x: x * K, ["K"]) == [5, 10, 15]
        assert run(multiplied, ["K"]) == [5, 10, 15]

    def test_a_local_variable_comes_first(self, queue: Queue) -> None:
        factor = 7
        loop = queue.foreach(x=[1, 2], export=["factor"])
        assert loop.dopar(use_unknown) == loop.do(use_unknown) == [7, 14]
        assert [loop.dopar(use_unknown) for _ in range(1)] == [[7, 14]]
        assert list(loop.stream(use_unknown)) == [(1, 7), (2, 14)]
        assert loop.submit(use_unknown).result(30) == [7, 14]
        assert loop.dopar(Callable_()) == [7, 14]
        assert loop.dopar(functools.partial(use_unknown)) == [7, 14]
        assert factor == 7

    def test_names_of_the_body_and_of_the_session(self, queue: Queue) -> None:
        def made() -> Callable[[int], int]:
            hidden = 3
            return lambda x: x * hidden

        queue.foreach(x=[1], export=["hidden"]).dopar(made())
        factor = 2
        dr.set_export(["factor"])
        try:
            with dr.options(export={"other": 1}):
                assert queue.foreach(x=[1, 2]).dopar(use_unknown) == [2, 4]
        finally:
            dr.set_export(None)
        assert factor == 2

    def test_unknown_names(self, queue: Queue) -> None:
        with pytest.raises(ConfigError, match="export = 'nowhere'"):
            queue.foreach(x=[1], export=["nowhere"]).dopar(multiplied)

    def test_functions_and_classes_have_names(self, run: Callable[..., Any]) -> None:
        def body(x: int) -> Any:
            return multiplied_(x)

        def multiplied_(x: int) -> int:
            return 10 * x

        assert run(body, [multiplied_]) == [10, 20, 30]

    def test_a_function_that_is_called_otherwise(self, queue: Queue) -> None:
        def one(x: int) -> int:
            return x

        other = one

        def one(x: int) -> int:  # type: ignore[no-redef]
            return 2 * x

        with pytest.raises(ConfigError, match="calls itself 'one'"):
            queue.foreach(x=[1], export=[other]).dopar(lambda x: one(x))
        assert queue.foreach(x=[1], export=[one]).dopar(lambda x: one(x)) == [2]

    def test_noexport(self, queue: Queue) -> None:
        loop = queue.foreach(x=[1], export={"factor": 1}, noexport=["factor"])
        with pytest.raises(TaskError, match="factor"):
            loop.dopar(use_unknown)
        with pytest.raises(ConfigError, match="noexport"):
            loop.dopar(functools.partial(use_unknown))

    def test_a_body_that_can_have_none(self, run: Callable[..., Any]) -> None:
        with pytest.raises(ConfigError, match="not written in Python"):
            run(abs, {"k": 1})

    def test_do_puts_globals_back(self, queue: Queue) -> None:
        loop = queue.foreach(x=[1], export={"K": 100, "factor": 3})
        assert loop.do(multiplied) == [100]
        assert multiplied(1) == 5
        assert "factor" not in globals()

    def test_r(self, queue: Queue) -> None:
        factor = 2.5
        body = dr.rexpr("x * factor")
        codec = codec_for(body, queue.foreach(x=[1], export=["factor", "K"])._options(body, None))
        assert isinstance(codec, RCodec)
        assert codec.exports == {"factor": factor, "K": 5}
        with pytest.raises(ConfigError, match="no use for a Python module"):
            queue.foreach(x=[1], export=[np]).submit(dr.rexpr("x"))
        with pytest.raises(LocalProtocolError, match=r"an export cannot be sent: k\[1\] \(a _thread\.lock\)"):
            queue.foreach(x=[1], export={"k": [1, threading.Lock()]}).submit(dr.rexpr("x"))


class TestRBodies:
    @pytest.mark.parametrize(
        ("source", "missing"),
        [
            ("i", ["k"]),
            ("i + k", []),
            ("i # k", ["k"]),
            ("paste('k', i)", []),
            ('paste("k{k}", `i`)', []),
            ("i.k + k_", ["i", "k"]),
            ("x$i + k", []),
            ("get(paste0('va', 'r'))", []),
            ("eval(e)", []),
            ('r"(k i)"', []),
            ("'it\\'s' ; i", ["k"]),
            ("1e5 + 0x1Fi", ["i", "k"]),
            ("function(i) i %k% 3", []),
            ("", ["i", "k"]),
        ],
    )
    def test_what_code_mentions(self, source: str, missing: list[str]) -> None:
        assert unmentioned(["i", "k"], [source]) == missing

    def test_names_that_are_no_words(self) -> None:
        assert unmentioned(["my var", "größe", ".x"], ["`my var` + größe * .x"]) == []

    def refused(self, loop: dr.Foreach[Any, Any], body: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            loop.dopar(body)
        return caught.value.setting

    def test_a_variable_that_cuts_the_loop(self, queue: Queue) -> None:
        body = dr.rexpr("i")
        assert self.refused(queue.foreach(i=range(10), k=[2]), body) == "k"
        assert self.refused(queue.foreach([1], k=[2]), body) == "k"
        assert self.refused(queue.foreach(i=range(10), k=[2]), rinterop.values.symbol("i")) == "k"

    def test_what_is_used_elsewhere(self, queue: Queue) -> None:
        plan = queue.foreach(i=range(10), k=[2])
        options = [
            plan.when(lambda k: k > 1),
            plan.nest(queue.foreach(j=lambda k: range(k))),
            queue.foreach(i=range(10), k=[2], export={"f": dr.rexpr("function() k")}),
            queue.foreach(k=[1, 2]),
        ]
        for loop in options:
            loop._options(dr.rexpr("i"), None)


class TestProgress:
    @pytest.mark.parametrize("run", ["dopar", "do", "submit", "stream"])
    @pytest.mark.parametrize("source", [range(5), iter(range(5)), []], ids=["range", "iterator", "empty"])
    def test_it_ends_with_all(self, queue: Queue, run: str, source: Any) -> None:
        seen: list[tuple[int, int | None]] = []
        loop = queue.foreach(x=source, progress=lambda *told: seen.append(told))
        result = getattr(loop, run)(lambda x: x)
        if run == "submit":
            result.result(30)
        if isinstance(result, Iterator):
            assert len([*result]) in (0, 5)
        n = seen[-1][0]
        assert n in (0, 5)
        assert seen[-1] == (n, n)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    @pytest.mark.parametrize("run", ["dopar", "do", "submit"])
    def test_a_bar(self, queue: Queue, run: str, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        result = getattr(queue.foreach(x=range(5), progress=True), run)(lambda x: x)
        if run == "submit":
            result.result(30)
        assert "5/5" in capfd.readouterr().err


class TestTracebacks:
    @pytest.mark.parametrize("run", ["dopar", "do", "submit", "stream"])
    def test_hardly_a_frame_is_ours(self, queue: Queue, run: str) -> None:
        def fail(x: int) -> None:
            raise ValueError(x)

        def everything() -> None:
            result = getattr(queue.foreach(x=[1]), run)(fail)
            list(result.results() if run == "submit" else result)

        with pytest.raises(TaskError) as caught:
            everything()
        ours = [entry for entry in caught.traceback if "/pydoredis/" in str(entry.path)]
        assert len(ours) == 1
        cause = caught.value.__cause__
        assert isinstance(cause, ValueError)
        if run == "do":
            assert cause.__traceback__ is not None
            assert cause.__traceback__.tb_frame.f_code.co_name == "fail"
        else:
            assert "in fail" in str(cause.__cause__)
            assert "pydoredis" not in str(cause.__cause__)
