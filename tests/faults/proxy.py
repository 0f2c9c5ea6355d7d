"""A TCP proxy before a Redis server: a network that is slow, stands still or breaks when a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_PIECE = 1 << 16


class Proxy:
    """Passes bytes on between its own port and that of a server, both on loopback.

    Attributes:
        port: Where it listens.
        delay_s: How long each piece of data is held up, in both directions.

    Args:
        target_port: Where the server listens.
    """

    def __init__(self, target_port: int) -> None:
        self.delay_s = 0.0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open, self._server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Address of database 0 behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> int:
        """Break all connections, with what is under way on them; how many there were."""

        async def abort() -> int:
            writers = list(self._writers)
            for writer in writers:
                writer.transport.abort()
            return len(writers) // 2

        return self._call(abort())

    def stall(self) -> None:
        """Pass nothing on any more, and keep all connections: what a lost route looks like for a while."""
        self._soon(self._open.clear)

    def resume(self) -> None:
        """Pass on what was held up, and what comes from now on."""
        self._soon(self._open.set)

    def close(self) -> None:
        """End all connections, and listen no more."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            for pump in list(self._pumps):
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- in the proxy's thread ----------------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _soon(self, work: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(work)

    async def _listen(self) -> tuple[asyncio.Event, asyncio.Server]:
        is_open = asyncio.Event()
        is_open.set()
        return is_open, await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:  # the server is down: so is whoever stands for it
            writer.transport.abort()
            return
        ends = {writer, server_writer}
        self._writers |= ends
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink, ends))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: set[asyncio.StreamWriter]
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(_PIECE):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                sink.write(piece)
                await sink.drain()
        await self._open.wait()
        for writer in ends:
            writer.close()
        self._writers -= ends
