"""Builds the hub's application: the parts are opened in order and closed in reverse."""

import contextlib
import gc
import sys
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount, Route

import jobs.worker
import ui.shell

from .api import auth, health, inbox, leads, problems, stream, users, webhooks
from .api.edge import Edge
from .hub import Hub
from .streams.sse import Receive, Scope, Send, Shim

ROUTERS = (
    webhooks.api,
    leads.api,
    inbox.api,
    users.api,
    auth.api,
    health.api,
)  # the busiest first: they are tried in order


def create_app(hub: Hub, *, screens: bool = True) -> FastAPI:
    """The whole application around a hub; its lifespan opens the hub unless it is open, and closes it.

    Without `screens` it serves machines alone.
    """
    # The writer and the loop share one interpreter: at the default of 5 ms every hand-over waits that long.
    sys.setswitchinterval(0.0005)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not hub.serving:
            await hub.open()
        worker = jobs.worker.Worker(hub)
        worker.start()
        # What is there by now stays: the collector need not walk it again, a tenth of a second each time, while everybody waits.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        try:
            yield
        finally:
            await worker.stop()
            await hub.close()

    app = FastAPI(
        title="Leadfloor",
        version="0.1.0",
        summary="The live hub of a sales floor.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.hub = hub
    problems.install(app)
    app.router.routes.append(Route("/api/webhook/whatsapp", webhooks.WhatsAppEndpoint(), methods=["POST"]))
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.append(Route("/api/v1/stream", stream.StreamEndpoint(), methods=["GET"]))
    _describe_bare(app)
    if screens:
        app.router.routes.append(Unknown(app))
        ui.shell.install(app, hub)
    app.add_middleware(Edge, most_bytes=webhooks.MOST_BYTES, https=hub.settings.https)
    app.add_middleware(Shim)
    return app


class Unknown(Mount):
    """What is left under /api once every route has had its turn: 405 where only the method is wrong, else 404.

    The screens answer every path; a machine must not get a page of theirs.
    """

    def __init__(self, app: FastAPI) -> None:
        super().__init__("/api", app=self._refuse, name="unknown")
        self._routes_before = tuple(app.router.routes)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {**scope, "path": scope["path"], "root_path": ""}
        partial = any(route.matches(asked)[0] is Match.PARTIAL for route in self._routes_before)
        raise HTTPException(405 if partial else 404)


def _describe_bare(app: FastAPI) -> None:
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["paths"].setdefault("/api/v1/stream", stream.OPENAPI)
        document["paths"]["/api/webhook/whatsapp"].setdefault("post", webhooks.OPENAPI)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
