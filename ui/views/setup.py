"""The first page of an empty hub: by its one-time link, the first company and its admin."""

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from backend.access.scope import Viewer
from backend.callers import check_same_site
from backend.errors import HubError, Invalid
from backend.hub import Hub

from ..live import Live
from .signin import form_of, let_in, page, start

SHORTEST_PASSWORD = 10


def install(app: FastAPI, hub: Hub, live: Live) -> None:
    @app.get("/setup/{token}", include_in_schema=False)
    async def show(token: str) -> Response:
        return page("setup.html") if await _open(hub, token) else RedirectResponse("/signin", 303)

    @app.post("/setup/{token}", include_in_schema=False)
    async def make(token: str, request: Request) -> Response:
        check_same_site(request, hub)
        if not await _open(hub, token):
            return RedirectResponse("/signin", 303)
        form = await form_of(request)
        try:
            return await _make(hub, request, form)
        except HubError as refused:
            form.pop("password", None)
            return page("setup.html", refused.status, error=refused.message, **form)


async def _open(hub: Hub, token: str) -> bool:
    """The link is good, and nobody has set the hub up yet."""
    return hub.is_setup_token(token) and not [c for c in await hub.companies() if c.state == "active"]


async def _make(hub: Hub, request: Request, form: dict[str, str]) -> Response:
    slug, password = form.get("slug", "").strip().casefold(), form.get("password", "")
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"The password has at least {SHORTEST_PASSWORD} characters.", field="password")
    username = form.get("username", "").strip().casefold()
    if not username or not form.get("name", "").strip():
        raise Invalid("Your name and a username, please.", field="username")
    store = await hub.create_company(slug, form.get("company", "").strip() or slug)
    given: dict[str, object] = {"username": username, "name": form["name"].strip(), "role": "ADMIN"}
    admin = await hub.add_person(store, Viewer.system("set-up"), given, await hub.passwords.hash(password))
    return let_in(hub, await start(hub, store, admin.id, request), slug)
