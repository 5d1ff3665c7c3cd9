"""The floor: the board by status with its live feed, key numbers and load list. A drag moves; on a person it reassigns."""

from typing import Any

from fastapi import FastAPI
from nicegui import ui
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from backend.access.roles import May, Whom
from backend.access.scope import Viewer
from backend.errors import HubError
from backend.hub import Hub
from backend.leads import actions
from backend.leads.lifecycle import COLORS, DEMANDS, TITLES, allowed_moves
from backend.leads.queries import columns_of
from backend.store.transactions import Rx

from .. import figures
from ..acting import act, caller_or_door, keep_theme, person_of, rail, theme_of
from ..components.floor import (
    AssignEventArguments,
    Board,
    Feed,
    Kpis,
    LeadSearch,
    LiveBadge,
    LoadList,
    MoveEventArguments,
)
from ..components.frame import frame
from ..live import Live, Seat
from . import capture, demands, lead


def install(app: FastAPI, hub: Hub, live: Live) -> None:
    @app.get("/board/side", include_in_schema=False)
    async def side(request: Request) -> Response:
        caller = await caller_or_door(hub, request)
        if isinstance(caller, Response):
            return JSONResponse({"code": "not_signed_in"}, 401)
        return JSONResponse(await caller.store.read(side_of, caller.viewer, live.online(caller.store.id)))

    @ui.page("/board", title="Board · Leadfloor")
    async def board(request: Request) -> Response | None:
        caller = await caller_or_door(hub, request)
        if isinstance(caller, Response):
            return caller
        if "board" not in caller.viewer.rights.pages:
            return RedirectResponse("/", 303)
        known = await caller.store.read(side_of, caller.viewer, live.online(caller.store.id))
        seat = live.sit(ui.context.client, caller.store, caller.viewer)
        page = frame(
            "Board",
            caller.store.name,
            rail(caller.viewer.role),
            "/board",
            person_of(caller),
            theme=theme_of(request),
            on_theme=keep_theme,
        )
        _fill(page, seat, known)
        return None


def _fill(page: Any, seat: Seat, known: dict[str, Any]) -> None:
    room, statuses, opened = str(seat.room), statuses_of(seat.viewer), lead.opener(seat)
    with page.search:
        LeadSearch(statuses, on_open=opened)
    with page.actions:
        LiveBadge(room=room)
        if seat.viewer.may(May.CAPTURE):
            capture.button(seat)
    with page.work:
        Kpis(known["kpis"], room=room)
        board = Board(
            statuses,
            room=room,
            sortable=seat.viewer.may(May.EDIT),
            assignable=seat.viewer.rights.assigns is not Whom.NOBODY,
            on_open=opened,
        )
        board.on_move(lambda e: _moved(seat, board, e))
        board.on_assign(lambda e: _assigned(seat, board, e))
    with page.side:
        Feed(known["feed"], room=room, on_open=opened)
        LoadList(known["load"], room=room)


def side_of(rx: Rx, viewer: Viewer, online: set[int]) -> dict[str, Any]:
    """`{feed, kpis, load}` of a viewer's room."""
    feed = figures.recent(rx, viewer.reach, viewer.view)
    return {"feed": feed, **figures.figures(rx, viewer.reach, viewer.view, online)}


def statuses_of(viewer: Viewer) -> list[dict[str, Any]]:
    """The columns of a viewer's board, each with where he may drop a card of it."""
    return [
        {"id": s.value, "title": TITLES[s], "color": COLORS[s], "moves": allowed_moves(s, viewer.rights)}
        for s in TITLES
        if s.value in columns_of(viewer)
    ]


async def _moved(seat: Seat, board: Board, e: MoveEventArguments) -> None:
    """A card was dropped: at another place of its column, or in another one, which may ask for something first."""
    place = {"version": e.version, "after": e.after, "before": e.before}
    try:
        if e.from_status == e.to_status:
            await act(seat, actions.place, e.lead_id, **place)
        else:
            demanded = DEMANDS.get(e.to_status)  # type: ignore[call-overload]
            if demanded:
                board.hold(e.lead_id)  # a person takes longer than a server may
            given = await demands.ask(seat, e.lead_id, e.to_status, demanded) if demanded else {}
            if given is None:
                board.reject(e.lead_id, "Nothing was moved.")
                return
            await act(seat, actions.move, e.lead_id, e.to_status, **place, **given)
        board.settle(e.lead_id)
    except HubError as refused:
        board.reject(e.lead_id, refused.message)


async def _assigned(seat: Seat, board: Board, e: AssignEventArguments) -> None:
    try:
        await act(seat, actions.assign, e.lead_id, {"salesperson_id": e.person_id}, version=e.version)
        board.settle(e.lead_id)
    except HubError as refused:
        board.reject(e.lead_id, refused.message)
