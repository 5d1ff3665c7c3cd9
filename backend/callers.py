"""Token, cookie or password → who is calling. The session's row is read at each request: what has ended has ended."""

import asyncio
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from starlette.requests import HTTPConnection

from .access.scope import Viewer, people_of
from .access.signin import SEEN_EVERY, Credential, Session, SignedIn, by_cookie, by_session, credential, seen
from .errors import NotAllowed, NotFound, NotSignedIn, TooMany
from .hub import Hub
from .store.database import Store
from .store.secrets import hashed
from .store.transactions import Rx

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"


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
    claims = hub.tokens.read(token, hub.clock())
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


# Passwords -----------------------------------------------------------------------------------------------------------------

FAILURES = RateLimitItemPerMinute(20)


async def check_password(hub: Hub, company: str, username: str, password: str, address: str) -> tuple[Store, int]:
    """(store, person id) of whoever this is. Raises NotSignedIn, after the same work whatever was wrong, and TooMany."""
    _must_have_failed_less(hub, address)
    store = await hub.company(company)
    known: Credential | None = None
    if store is not None:
        known = await hub.database.control.read(credential, store.id, username)
    right = await hub.passwords.matches(password, known.password_hash if known else None)
    try:
        if not right or store is None or known is None:
            raise wrong()
        await store.read(_may_sign_in, known.person_id)
    except NotSignedIn:
        _must_have_failed_less(hub, address)
        hub.failures.hit(FAILURES, address)
        raise
    _must_have_failed_less(hub, address)  # a thousand guesses at once are told no more than a thousand in a row
    return store, known.person_id


def _must_have_failed_less(hub: Hub, address: str) -> None:
    if not hub.failures.test(FAILURES, address):
        raise TooMany("Too many failed attempts from this address. Try again in a minute.", retry_after=60)


def wrong() -> NotSignedIn:
    return NotSignedIn("The company, the name or the password is wrong.", code="invalid_credentials")


def _may_sign_in(rx: Rx, person_id: int) -> None:
    person = people_of(rx).by_id.get(person_id)
    if person is None or person.state != "active":
        raise wrong()


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""
