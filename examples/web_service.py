"""A web service whose handlers await jobs: its event loop goes on while workers are at work.

python examples/web_service.py          starts it, asks it some things at the same time, and ends it
uvicorn --app-dir examples web_service:app          serves

It needs starlette; to ask, httpx.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import pydoredis as dr


def throw(darts: int) -> int:
    """How many darts of a square hit the circle in it."""
    x, y = dr.rng().random((2, darts))
    return int((x * x + y * y < 1).sum())


def factors(number: int) -> list[int]:
    """The prime factors of a number."""
    found, candidate = [], 2
    while candidate * candidate <= number:
        while number % candidate == 0:
            found.append(candidate)
            number //= candidate
        candidate += 1
    return [*found, number] if number > 1 else found


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Two workers of this machine for as long as the service runs. Others: dr.Queue("RJOBS", url=...)."""
    with dr.local(2, output=False) as queue:
        app.state.queue = queue
        yield


async def one_call(request: Request) -> Response:
    """A call on a worker."""
    number = int(request.path_params["number"])
    return JSONResponse(await request.app.state.queue.arun(factors, number))


async def loop(request: Request) -> Response:
    """A loop, which may take ten seconds: then it is cancelled."""
    parts = dr.idiv(int(request.path_params["darts"]), chunks=20)
    hits = request.app.state.queue.foreach(darts=parts, combine="+", inorder=False, seed=1).adopar(throw)
    try:
        total = await asyncio.wait_for(hits, timeout=10)
    except asyncio.TimeoutError:
        return JSONResponse({"error": "took too long"}, status_code=503)
    return JSONResponse({"hits": total})


async def values(request: Request) -> Response:
    """Values as they come, a line each. A client that goes away has the job cancelled."""
    stream = request.app.state.queue.foreach(number=range(2, 12)).astream(factors)

    async def lines() -> AsyncIterator[str]:
        async with contextlib.aclosing(stream) as items:
            async for number, found in items:
                yield f"{number + 1}: {found}\n"

    return StreamingResponse(lines(), media_type="text/plain")


routes = [
    Route("/factors/{number:int}", one_call),
    Route("/hits/{darts:int}", loop),
    Route("/factors", values),
]
app = Starlette(routes=routes, lifespan=lifespan)


async def ask() -> None:
    """Ask the service without a network."""
    import httpx

    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as client,
    ):
        paths = ["/factors/1001", "/hits/100000", "/factors"]
        for answer in await asyncio.gather(*(client.get(path) for path in paths)):
            print(answer.text.strip())


if __name__ == "__main__":
    sys.exit(asyncio.run(ask()))
