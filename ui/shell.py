"""How pages are served: which there are, who may open a socket, the two classes of Content-Security-Policy.

Plain pages (sign-in, set-up) are HTML of ours under a strict policy; the hub's pages are NiceGUI's, which needs `unsafe-eval`, with a
nonce on every script.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import nicegui.client
from fastapi import FastAPI
from jinja2 import ChoiceLoader, DictLoader
from nicegui import ui
from starlette.requests import HTTPConnection
from starlette.staticfiles import StaticFiles

from backend.callers import by_cookie_value, check_same_site, cookie_name
from backend.errors import HubError
from backend.hub import Hub
from backend.streams.sse import Receive, Scope, Send

from .components.frame import STATIC
from .live import Live
from .views import floor, home, setup, signin

VIEWS = (signin, setup, floor, home)
SOCKET = "/_nicegui_ws/"
_nonce: ContextVar[str] = ContextVar("csp_nonce", default="")


def install(app: FastAPI, hub: Hub) -> None:
    """Every page of the hub on its application."""
    live = Live(hub)
    app.mount("/assets", StaticFiles(directory=STATIC), name="assets")
    for view in VIEWS:
        view.install(app, hub, live)
    _live_within(app, live)
    ui.run_with(
        app,
        title="Leadfloor",
        favicon=STATIC / "logo.svg",
        language="en-US",
        reconnect_timeout=30,  # a short stall of the loop must not make every screen build itself again
        message_history_length=100,
        binding_refresh_interval=None,
        gzip_middleware_factory=None,
        tailwind=False,
        show_welcome_message=False,
    )
    _put_nonce_on_scripts()
    app.add_middleware(Gate, hub=hub)


def _live_within(app: FastAPI, live: Live) -> None:
    """The live rooms start after the hub and stop before it."""
    around = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        async with around(application) as state:
            live.start()
            try:
                yield state
            finally:
                await live.stop()

    app.router.lifespan_context = lifespan


def _put_nonce_on_scripts() -> None:
    """NiceGUI writes inline scripts and knows no nonce: its page is rewritten once, to carry the one of the answer."""
    environment = nicegui.client.templates.env
    if "csp_nonce" in environment.globals or environment.loader is None:
        return
    source, _, _ = environment.loader.get_source(environment, "index.html")
    rewritten = source.replace("<script", '<script nonce="{{ csp_nonce() }}"')
    environment.globals["csp_nonce"] = _nonce.get
    environment.loader = ChoiceLoader([DictLoader({"index.html": rewritten}), environment.loader])


class Gate:
    """Before NiceGUI: a socket needs a living session and our own origin; a page gets its policy.

    A client id alone must open nothing: it stands in the socket's address.
    """

    def __init__(self, app: Any, hub: Hub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope["path"].startswith(SOCKET):
            await self._socket(scope, receive, send)
        elif scope["type"] == "http" and not scope["path"].startswith(("/api/", "/assets/", "/_nicegui/")):
            await self._page(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            check_same_site(connection, self._hub)
            await by_cookie_value(self._hub, connection.cookies.get(cookie_name(self._hub), ""))
        except HubError:
            await _refuse(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = secrets.token_urlsafe(16)
        _nonce.set(nonce)
        policy = (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        )

        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                if b"content-security-policy" not in names:
                    message["headers"] = [*message["headers"], (b"content-security-policy", policy.encode())]
            await send(message)

        await self._app(scope, receive, with_policy)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Sign in first."})
