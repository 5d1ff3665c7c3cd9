"""Token or cookie → viewer. The session's row is read at each request: what has ended has ended."""

import asyncio
import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from ..access.scope import Viewer
from ..access.signin import SEEN_EVERY, Session, SignedIn, by_cookie, by_session, seen
from ..errors import NotAllowed, NotFound, NotSignedIn
from ..hub import Hub
from ..store.database import Store
from ..store.secrets import hashed

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"

_bearer = HTTPBearer(auto_error=False, description="An access token of `POST /auth/login`.")
_cookie = APIKeyCookie(
    name="leadfloor", auto_error=False, description="The screens' session; writes need `X-CSRF-Token`."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, of which company. `expires_at` (microseconds) ends what the call keeps open; `cookie`: by the screens' session."""

    hub: Hub
    store: Store
    viewer: Viewer
    session: Session
    expires_at: int
    cookie: bool = False


def hub_of(connection: HTTPConnection) -> Hub:
    hub: Hub = connection.app.state.hub
    return hub


async def signed_in(request: Request, _b: object = Depends(_bearer), _c: object = Depends(_cookie)) -> Caller:
    """The caller of an API route. Raises NotSignedIn, or NotAllowed for a write by cookie without its proof."""
    return await caller_of(request)


async def caller_of(connection: HTTPConnection) -> Caller:
    hub = hub_of(connection)
    header = connection.headers.get("authorization", "")
    if header[:7].lower() == "bearer ":
        return await _by_token(hub, header[7:].strip())
    cookie = connection.cookies.get(cookie_name(hub))
    if not cookie:
        raise NotSignedIn("Sign in first.")
    caller = await by_cookie_value(hub, cookie)
    if connection.scope["type"] != "http" or connection.scope["method"] not in SAFE_METHODS:
        check_same_site(connection, hub)
        proof = connection.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(proof.encode(), csrf_of(hub, cookie).encode()):
            raise NotAllowed("This write does not come from one of our screens.", code="csrf")
    return caller


async def _by_token(hub: Hub, token: str) -> Caller:
    claims = hub.tokens.read(token)
    try:
        store = await hub.database.company(claims.company_id)
    except NotFound:
        raise NotSignedIn("Sign in first.") from None
    found = await store.read(by_session, claims.session_id)
    return _caller(hub, store, found, claims.expires_at, cookie=False)


async def by_cookie_value(hub: Hub, cookie: str) -> Caller:
    """The holder of a screen's session. Raises NotSignedIn."""
    company, _, _ = cookie.partition(".")
    if not company.isascii() or not company.isdigit() or len(company) > 19 or len(cookie) > 200:
        raise NotSignedIn("Sign in first.")
    try:
        store = await hub.database.company(int(company))
    except (NotFound, OverflowError):
        raise NotSignedIn("Sign in first.") from None
    found = await store.read(by_cookie, hashed(cookie))
    caller = _caller(hub, store, found, found.session.expires_at if found else 0, cookie=True)
    if hub.clock() - caller.session.seen_at > SEEN_EVERY:
        asyncio.ensure_future(store.write_bulk(seen, caller.session.id))  # noqa: RUF006 - the writer holds it
    return caller


def _caller(hub: Hub, store: Store, found: SignedIn | None, expires_at: int, *, cookie: bool) -> Caller:
    if found is None:
        raise NotSignedIn("Sign in first.")
    return Caller(hub, store, found.viewer, found.session, expires_at, cookie)


def cookie_name(hub: Hub) -> str:
    # the prefix makes a browser insist on Secure, this host alone and the whole path; it needs https
    return "__Host-leadfloor" if hub.settings.https else "leadfloor"


def csrf_of(hub: Hub, cookie: str) -> str:
    """What the screens send with a write, and a foreign page can't know."""
    return hmac.digest(hub.keys.derived("csrf"), cookie.encode(), "sha256").hex()


def check_same_site(connection: HTTPConnection, hub: Hub) -> None:
    """Raises NotAllowed when a browser says that another site's page sends this."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise NotAllowed("This request comes from another site.", code="cross_site")
    origin = connection.headers.get("origin")
    if origin is None:
        return
    ours = {urlsplit(hub.settings.public_url).netloc, connection.headers.get("host", "")}
    if urlsplit(origin).netloc not in ours - {""}:
        raise NotAllowed("This request comes from another site.", code="cross_site")


SignedInCaller = Annotated[Caller, Depends(signed_in)]
