"""From a page to the hub: who sits here, and an action as him. Refusals become toasts, in this one place."""

import logging
from collections.abc import Callable
from typing import Any

from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backend.access.roles import rights_of
from backend.access.signin import by_session
from backend.callers import Caller, by_cookie_value, cookie_name
from backend.errors import HubError, NotSignedIn
from backend.hub import Hub

from .components.frame import Page, Person, Theme
from .live import Seat

log = logging.getLogger(__name__)

PAGES = {  # page of the roles' table → its entry in the rail; a page that is not built yet is absent
    "board": Page("/board", "Board", "view_kanban"),
}
HOME = Page("/home", "Home", "home")
THEME_COOKIE = "leadfloor_theme"
THEMES: dict[str, Theme] = {"light": "light", "dark": "dark", "system": "system"}


async def caller_or_door(hub: Hub, request: Request) -> Caller | Response:
    """Who opens a page; whoever has no living session is sent to the door."""
    try:
        return await by_cookie_value(hub, request.cookies.get(cookie_name(hub), ""))
    except NotSignedIn:
        return RedirectResponse("/signin", 303)


def rail(role: str) -> list[Page]:
    """The pages of a role that are there."""
    built = [PAGES[name] for name in rights_of(role).pages if name in PAGES]
    return built or [HOME]


def person_of(caller: Caller) -> Person:
    return Person(caller.viewer.name, caller.viewer.role.replace("_", " ").capitalize())


def theme_of(request: Request) -> Theme:
    return THEMES.get(request.cookies.get(THEME_COOKIE, ""), "system")


def keep_theme(theme: Theme) -> None:
    """In a cookie of its own: how the screen looks is nobody's secret."""
    ui.run_javascript(f"document.cookie = '{THEME_COOKIE}={THEMES[theme]}; path=/; max-age=31536000; SameSite=Lax'")


async def act(seat: Seat, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do something as who sits here. His session is read again: a socket must not outlive the right to it."""
    found = await seat.store.read(by_session, seat.viewer.session_id or 0)
    if found is None:
        seat.client.open("/signin")
        raise NotSignedIn("You have been signed out.")
    return await seat.store.write(action, found.viewer, *args, **kwargs)


def toast(refused: HubError) -> None:
    """A refusal, in its own words, as text."""
    ui.notify(refused.message, type="warning", position="bottom", timeout=6000)
