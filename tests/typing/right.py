"""A user's program without mistakes: type checkers have nothing to say of it, and infer these types.

It is checked and never run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import pydoredis as dr
from pydoredis import testing

if TYPE_CHECKING:
    from typing_extensions import assert_type


def square(x: int) -> int:
    return x * x


def name(x: int) -> str:
    return str(x)


def add(total: float, value: int) -> float:
    return total + value


def merge(found: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {**found, **more}


def count() -> Iterator[int]:
    yield 1


def without_combine() -> None:
    loop = dr.foreach(x=range(10))
    assert_type(loop.dopar(square), list[int])
    assert_type(loop.dopar(name), list[str])
    assert_type(loop.dopar(lambda x: "text"), list[str])
    assert_type(loop.do(name), list[str])
    assert_type(loop.dopar(dr.rexpr("sqrt(x)")), list[Any])
    assert_type(loop.when(lambda x: x > 1).dopar(square), list[int])
    job = loop.submit(name)
    assert_type(job.result(timeout=3), list[str])
    assert_type(job.id, str)
    for number, value in job.results():
        assert_type(number, int)
        assert_type(value, str)
    for _, value in loop.stream(name):
        assert_type(value, str)
    assert_type(loop.dopar(functools.partial(pow, 2)), list[int])
    assert_type(dr.foreach(x=range(3), final=len).dopar(name), int)


async def in_an_event_loop() -> None:
    loop = dr.foreach(x=range(10))
    assert_type(await loop.adopar(square), list[int])
    assert_type(await loop.adopar(dr.rexpr("sqrt(x)")), list[Any])
    job = await loop.asubmit(name)
    assert_type(await job, list[str])
    async for number, value in job.aresults():
        assert_type(number, int)
        assert_type(value, str)
    await job.acancel()
    async with contextlib.aclosing(loop.astream(name)) as values:
        async for _, value in values:
            assert_type(value, str)
    assert_type(await dr.foreach([1, 2], combine=add, init=0.0).adopar(square), float)
    assert_type(await dr.foreach([1, 2], combine=add, init=0.0).asubmit(square), dr.Job[int, float])
    assert_type(await asyncio.wait_for(job, 3), list[str])
    assert_type(await dr.Queue("RJOBS").arun(name, 3), str)
    assert_type(await dr.Queue("RJOBS").arun(dr.rexpr("x + 1"), x=3), Any)
    with testing.in_process(chunk_size=2) as queue:
        assert_type(queue.foreach(x=range(3)).dopar(name), list[str])


def with_combine() -> None:
    loop = dr.foreach([1, 2], combine=add, init=0.0)
    assert_type(loop.dopar(square), float)
    assert_type(loop.do(square), float)
    assert_type(loop.submit(square, keep_results=True).result(), float)
    assert_type(dr.foreach([1, 2], combine=merge).dopar(lambda x: {"a": x}), dict[str, int])
    assert_type(dr.foreach([1, 2], combine=add, final=name_of).dopar(square), str)
    assert_type(dr.foreach([1, 2], combine="+").dopar(square), Any)
    assert_type(dr.foreach([1, 2], combine="rbind", final=np.asarray).dopar(square).ndim, int)
    combined: str = dr.foreach([1, 2], combine=operator.add).dopar(name)
    text: str = dr.foreach([1, 2], combine=lambda a, b: a + b).dopar(name)
    largest: int = dr.foreach([1, 2], combine=max).dopar(square)
    total: int = dr.foreach([1, 2], combine=sum).dopar(square)
    array: np.ndarray[Any, Any] = dr.foreach([1, 2], combine=np.concatenate).dopar(lambda x: np.ones(x))
    maximum: int = dr.foreach([1, 2], combine=np.maximum).dopar(square)
    frame: pd.DataFrame = dr.foreach([1, 2], combine=pd.concat).dopar(lambda x: pd.DataFrame({"a": [x]}))
    print(combined, text, largest, total, array, maximum, frame)


def name_of(total: float) -> str:
    return f"{total}"


def nested() -> None:
    inner = dr.foreach(j=range(4), combine=add)
    assert_type(dr.foreach(i=range(3)).nest(inner).dopar(square), list[float])
    assert_type(dr.foreach(i=range(3)).nest(dr.foreach(j=range(2))).dopar(square), list[list[Any]])
    outer = dr.foreach(i=range(3), combine=longest)
    assert_type(outer.nest(inner.when(lambda i, j: i != j)).dopar(square), str)
    assert_type(dr.foreach(i=range(3), combine="c").nest(inner).dopar(square), Any)


def longest(so_far: str, value: float) -> str:
    return max(so_far, str(value), key=len)


def queues_and_options() -> None:
    with dr.local(2, codec="cloudpickle", output=False, chunk_size=5) as queue:
        assert_type(queue.foreach(x=range(3)).dopar(name), list[str])
        assert_type(queue.foreach({"seed": [1, 2]}, x=count).dopar(name), list[str])
        loop = queue.foreach(
            [1],
            x=count(),
            combine=add,
            init=0,
            inorder=False,
            multicombine=False,
            maxcombine=2,
            errorhandling="remove",
            chunk_size="auto",
            seed=7,
            packages=["math"],
            export={"k": 1},
            noexport=["big"],
            worker_init=count,
            reduce=sum,
            progress=lambda done, total: print(done, total),
            timelimit=2.5,
            iteration_timelimit=1,
            timeout=60,
            ftinterval=3,
            max_crashes=1,
        )
        assert_type(loop.dopar(square), float)
    with dr.options(chunk_size="auto", export=["square"], progress=True):
        queue = dr.register("RJOBS", url="redis://localhost", ftinterval=3)
    with dr.start_local_workers(2, codec="r", r_engine="rscript") as workers:
        assert_type(workers.pids, list[int])
    dr.set_chunk_size("auto")
    dr.set_export(["square"])
    for row in queue.jobs():
        assert_type(row.job, str)
    for row in dr.jobs("RJOBS"):
        assert_type(row.queued, int)
    try:
        dr.foreach(x=dr.icount(3)).dopar(dr.rexpr("x"))
    except dr.TaskError as error:
        print(error.iterations[0], error.seed)
    except dr.LocalProtocolError:
        pass
