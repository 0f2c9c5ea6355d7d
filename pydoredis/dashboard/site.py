"""What the dashboard answers: the page, what it shows as events and as JSON, and actions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pydoredis.dashboard.access import CSRF_HEADER, Access
from pydoredis.dashboard.watch import Watch, document, event
from pydoredis.errors import ConfigError, DoRedisError, StoreUnavailable, UnknownJob
from pydoredis.telemetry import Telemetry

LARGEST_BODY: Final = 16 * 1024
"""Bytes of a request's body: a token, or the names of a queue and a job."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers hide the origin of the log-in form, too
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What each answer says to browsers, beside the Content-Security-Policy."""

JSON: Final = "application/json"


class Pages:
    """The two pages, with their styles and scripts inside.

    Attributes:
        page: Shows the server.
        login: Asks for the token.
        policy: The Content-Security-Policy: nothing is loaded, connected to or run but what is ours.
    """

    def __init__(self) -> None:
        files = {name: _file(name) for name in ("page.html", "login.html", "style.css", "script.js")}
        style, script = files["style.css"], files["script.js"]
        self.page = files["page.html"].replace("/* style.css */", style).replace("/* script.js */", script)
        self.login = files["login.html"].replace("/* style.css */", style)
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src {_digest(script)}",
                f"style-src {_digest(style)}",
                "connect-src 'self'",
                "img-src data:",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
                # No text becomes HTML, whatever the script does with it.
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        )


class Site:
    """The ASGI application.

    Args:
        watch: Looks at the server.
        access: Decides who may look and act.
    """

    def __init__(self, watch: Watch, access: Access) -> None:
        self._watch = watch
        self._access = access
        self._pages = Pages()
        self._routes: ASGIApp = Starlette(
            routes=[
                Route("/", self._page),
                Route("/login", self._login, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/events", self._events),
                Route("/api/session", self._session),
                Route("/api/snapshot", self._snapshot),
                Route("/api/cancel", self._cancel, methods=["POST"]),
                Route("/api/drain", self._drain, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "Content-Security-Policy": self._pages.policy})
            await send(message)

        refused = self._refused(scope["path"], Headers(scope=scope))
        await (refused or self._routes)(scope, receive, send_with_headers)

    def _refused(self, path: str, headers: Headers) -> Response | None:
        """The answer to who must not even ask; None for others."""
        if reason := self._access.misdirected(headers):
            return PlainTextResponse(reason, 421)
        if reason := self._access.foreign(headers):
            return PlainTextResponse(reason, 403)
        if path == "/login" or self._access.is_known(headers):
            return None
        if path == "/":
            return HTMLResponse(self._pages.login, 401)
        told = {"WWW-Authenticate": 'Bearer realm="pydoredis dashboard"'}
        return PlainTextResponse("this dashboard needs its token", 401, told)

    # --- looking ------------------------------------------------------------------------------------------

    async def _page(self, _: Request) -> Response:
        return HTMLResponse(self._pages.page)

    async def _session(self, _: Request) -> Response:
        return Response(json.dumps(self._told_of_session()), media_type=JSON)

    def _told_of_session(self) -> Mapping[str, Any]:
        return {"actions": self._access.actions, "csrf_header": CSRF_HEADER, "csrf": self._access.csrf}

    async def _snapshot(self, _: Request) -> Response:
        view = await self._watch.view()
        if view.snapshot is None:
            return _error(503, view.error)
        return Response(document(view.snapshot), media_type=JSON)

    async def _events(self, _: Request) -> Response:
        # Proxies are not to collect it.
        told = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=told)

    async def _stream(self) -> AsyncIterator[bytes]:
        yield event("session", self._told_of_session())
        async with aclosing(self._watch.views()) as views:
            async for view in views:
                yield view.event

    # --- logging in and out -------------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        body = await _body(request)
        (token,) = parse_qs((body or b"").decode("ascii", "replace")).get("token", [""])[:1]
        if not self._access.is_token(token.strip()):
            refused = "<p role=alert>That is not the token.</p>"
            return HTMLResponse(self._pages.login.replace("<!-- refused -->", refused), 401)
        return RedirectResponse("./", 303, {"Set-Cookie": self._access.new_cookie(request.headers)})

    async def _logout(self, _: Request) -> Response:
        return RedirectResponse("./", 303, {"Set-Cookie": self._access.no_cookie()})

    # --- acting -------------------------------------------------------------------------------------------

    async def _cancel(self, request: Request) -> Response:
        def cancel(telemetry: Telemetry, queue: str, job: str) -> str:
            if not any(row.job == job for row in telemetry.jobs_named(job, queue)):
                raise UnknownJob(job)  # not another one whose ID begins so
            removal = telemetry.remove_job(job, queue)
            return f"removed job {job}: {removal.tasks} waiting tasks, {removal.running} were running"

        return await self._act(request, ("queue", "job"), cancel)

    async def _drain(self, request: Request) -> Response:
        def drain(telemetry: Telemetry, queue: str, agent: str) -> str:
            if not any(row.agent == agent for row in telemetry.snapshot(queue).agents):
                raise ConfigError("agent", agent, f"that of an agent that serves the queue {queue} now")
            telemetry.drain(agent, queue)
            return f"the agent {agent} leaves within seconds"

        return await self._act(request, ("queue", "agent"), drain)

    async def _act(self, request: Request, names: tuple[str, ...], do: Callable[..., str]) -> Response:
        if reason := self._access.refused_action(request.headers):
            return _error(403, reason)
        try:
            given = json.loads(await _body(request) or b"")
        except ValueError:
            given = None
        wanted = [given.get(name) for name in names] if isinstance(given, dict) else []
        if not wanted or not all(isinstance(value, str) and value for value in wanted):
            return _error(400, f"the body has to be a JSON object with these texts: {', '.join(names)}")
        try:
            told = await self._watch.act(lambda telemetry: do(telemetry, *wanted))
        except StoreUnavailable as error:
            return _error(503, f"{error}; try again")
        except (UnknownJob, ConfigError) as error:
            return _error(404, str(error))
        except DoRedisError as error:
            return _error(500, str(error))
        return Response(json.dumps({"done": told}), media_type=JSON)


def _error(status: int, text: str) -> Response:
    return Response(json.dumps({"error": text}), status, media_type=JSON)


async def _body(request: Request) -> bytes | None:
    """The body of a request; None if it is too long to be of the page."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LARGEST_BODY:
            return None
    return bytes(found)


def _file(name: str) -> str:
    return resources.files("pydoredis.dashboard").joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
