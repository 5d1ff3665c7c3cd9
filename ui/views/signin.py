"""The door: plain pages under a strict policy, no script at all."""

import secrets
from typing import Any

from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backend.access import signin
from backend.access.roles import rights_of
from backend.access.scope import people_of
from backend.callers import address_of, by_cookie_value, check_password, check_same_site, cookie_name
from backend.errors import HubError, NotAllowed
from backend.hub import Hub
from backend.store.database import Store
from backend.store.ids import SECOND
from backend.store.secrets import hashed
from backend.store.transactions import Rx

from ..components.frame import STATIC
from ..live import Live

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
MOST_FORM = 16 * 1024
_templates = Environment(loader=FileSystemLoader(STATIC.parent / "templates"), autoescape=select_autoescape())


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A plain page of ours."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(_templates.get_template(template).render(**values), status, headers)


def install(app: FastAPI, hub: Hub, live: Live) -> None:
    @app.get("/signin", include_in_schema=False)
    async def door(request: Request) -> Response:
        return page("signin.html", company=request.cookies.get("leadfloor_company", ""))

    @app.post("/signin", include_in_schema=False)
    async def enter(request: Request) -> Response:
        return await _enter(hub, request)

    @app.post("/signout", include_in_schema=False)
    async def leave(request: Request) -> Response:
        check_same_site(request, hub)
        cookie = request.cookies.get(cookie_name(hub), "")
        answer = RedirectResponse("/signin", 303)
        answer.delete_cookie(cookie_name(hub), path="/", secure=hub.settings.https, httponly=True)
        try:
            caller = await by_cookie_value(hub, cookie)
            await caller.store.write(signin.end_session, caller.viewer, caller.session.id, "logout")
        except HubError:  # no living session: there is nothing to end
            pass
        return answer


async def form_of(request: Request) -> dict[str, str]:
    """The text fields of a small form."""
    async with request.form(max_files=0, max_fields=20, max_part_size=MOST_FORM) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def _enter(hub: Hub, request: Request) -> Response:
    check_same_site(request, hub)
    form = await form_of(request)
    company, username = form.get("company", "")[:100], form.get("username", "")[:254]
    shown = {"company": company, "username": username}
    try:
        store, person = await check_password(
            hub, company, username, form.get("password", "")[:4096], address_of(request)
        )
        await store.read(_has_screens, person)
        cookie = await start(hub, store, person, request, end=form.get("end_session"))
    except signin.SessionLimit as full:
        sessions = [
            {"id": s["id"], "device": s["device"] or s["platform"], "last_seen": s["seen_at"][:16].replace("T", " ")}
            for s in full.extra["sessions"]
        ]
        return page("signin.html", 409, sessions=sessions, **shown)
    except HubError as refused:
        return page("signin.html", refused.status, error=refused.message, **shown)
    return let_in(hub, cookie, company)


def _has_screens(rx: Rx, person_id: int) -> None:
    if not rights_of(people_of(rx).by_id[person_id].role).pages:
        raise NotAllowed("This account is for programs. It signs in through the API.")


async def start(hub: Hub, store: Store, person: int, request: Request, end: str | None = None) -> str:
    """A new session of the screens, under a new secret each time; the cookie's value."""
    cookie = f"{store.id}.{secrets.token_urlsafe(32)}"
    await store.write(
        signin.start_session,
        person,
        "web",
        ip=address_of(request),
        device=_device(request.headers.get("user-agent", "")),
        token_hash=hashed(cookie),
        end=end,
    )
    return cookie


def let_in(hub: Hub, cookie: str, company: str) -> Response:
    answer = RedirectResponse("/", 303)
    life = signin.COOKIE_LIFE // SECOND
    answer.set_cookie(
        cookie_name(hub), cookie, max_age=life, path="/", secure=hub.settings.https, httponly=True, samesite="lax"
    )
    answer.set_cookie("leadfloor_company", company.strip(), max_age=life, path="/signin", samesite="lax", httponly=True)
    return answer


def _device(agent: str) -> str:
    """A browser and a system, as people call them."""
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("Android", "Android"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    )
    browser = next((name for mark, name in browsers if mark in agent), "A browser")
    system = next((name for mark, name in systems if mark in agent), "")
    return f"{browser} on {system}" if system else browser
