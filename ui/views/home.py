"""Where everybody starts: on the first page of his role, or, when none of those is there, with his search and his feed."""

from fastapi import FastAPI
from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backend.hub import Hub

from ..acting import HOME, caller_or_door, keep_theme, person_of, rail, theme_of
from ..components.floor import Feed, Kpis, LeadSearch, LiveBadge
from ..components.frame import frame
from ..live import Live
from . import lead
from .floor import side_of, statuses_of


def install(app: FastAPI, hub: Hub, live: Live) -> None:
    @ui.page("/")
    async def start(request: Request) -> Response:
        caller = await caller_or_door(hub, request)
        return caller if isinstance(caller, Response) else RedirectResponse(rail(caller.viewer.role)[0].path, 303)

    @ui.page("/home", title="Home · Leadfloor")
    async def home(request: Request) -> Response | None:
        caller = await caller_or_door(hub, request)
        if isinstance(caller, Response):
            return caller
        side = await caller.store.read(side_of, caller.viewer, live.online(caller.store.id))
        seat = live.sit(ui.context.client, caller.store, caller.viewer)
        statuses = statuses_of(caller.viewer)
        opened = lead.opener(seat)
        page = frame(
            "Home",
            caller.store.name,
            rail(caller.viewer.role),
            HOME.path,
            person_of(caller),
            side=False,
            theme=theme_of(request),
            on_theme=keep_theme,
        )
        with page.search:
            LeadSearch(statuses, on_open=opened)
        with page.actions:
            LiveBadge(room=str(seat.room))
        with page.work:
            Kpis(side["kpis"], room=str(seat.room))
            Feed(side["feed"], room=str(seat.room), on_open=opened)
        return None
