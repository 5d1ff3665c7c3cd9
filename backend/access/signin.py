"""Passwords, sessions with their limit per platform, and tokens.

The credential is in the control database, the session in the company's; a token only names a session, and every request reads that
session's row, so ending it counts at once.
"""

import asyncio
import base64
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import bcrypt
import jwt
from sqlalchemy import bindparam, or_, select, update

from ..errors import Conflict, NotFound, NotSignedIn
from ..events import SessionEnded, SessionStarted
from ..store.ids import DAY, HOUR, MINUTE, SECOND, rfc3339
from ..store.journal import Recorded, record
from ..store.secrets import Keys
from ..store.statements import insert_into, prepare, upsert
from ..store.tables.control import signins
from ..store.tables.people import refreshes, sessions
from ..store.transactions import Rx, Tx
from .roles import Role
from .scope import Viewer, people_of

PLATFORMS = ("web", "desktop", "mobile", "api")
SESSIONS_PER_PLATFORM = 3
ACCESS_LIFE = 10 * MINUTE
REFRESH_LIFE = 30 * DAY
COOKIE_LIFE, COOKIE_IDLE = 14 * DAY, 12 * HOUR
SEEN_EVERY = 5 * MINUTE
"""How exactly `seen_at` is kept."""

# Passwords -----------------------------------------------------------------------------------------------------------------


class Passwords:
    """bcrypt in one thread of its own: eight checks inline would stop every screen for two seconds."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._thread = ThreadPoolExecutor(1, "bcrypt")
        self._nobody = self.hash_now(secrets.token_hex(16))

    def hash_now(self, password: str) -> str:
        return bcrypt.hashpw(_shortened(password), bcrypt.gensalt(self._rounds)).decode()

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.hash_now, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the password; with no stored hash the same time is spent and the answer is no."""
        loop = asyncio.get_running_loop()
        return (
            await loop.run_in_executor(self._thread, _matches, password, stored or self._nobody) and stored is not None
        )

    def close(self) -> None:
        self._thread.shutdown()


def _matches(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(_shortened(password), stored.encode())
    except ValueError:  # a damaged hash admits nobody
        return False


def _shortened(password: str) -> bytes:
    # bcrypt refuses more than 72 bytes; the digest of any password has 44
    return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())


class Credential(NamedTuple):
    person_id: int
    password_hash: str


_CREDENTIAL = prepare(
    select(signins.c.person_id, signins.c.password_hash)
    .where(
        signins.c.company_id == bindparam("company"),
        or_(signins.c.username == bindparam("login"), signins.c.email == bindparam("login")),
    )
    .order_by(signins.c.username != bindparam("login"))
    .limit(1)
)
_SET_CREDENTIAL = upsert(signins, put=("username", "email", "password_hash", "updated_at"))


def credential(rx: Rx, company_id: int, login: str) -> Credential | None:
    """By username or e-mail, in the control database."""
    row = rx.one(_CREDENTIAL, company=company_id, login=login.strip().casefold())
    return Credential(*row) if row else None


def set_credential(
    tx: Tx, company_id: int, person_id: int, username: str, email: str | None, password_hash: str
) -> None:
    """In the control database; replaces the one before."""
    tx.run(
        _SET_CREDENTIAL,
        company_id=company_id,
        person_id=person_id,
        username=username.casefold(),
        email=email.casefold() if email else None,
        password_hash=password_hash,
        updated_at=tx.now,
    )


# Sessions ------------------------------------------------------------------------------------------------------------------


class Session(NamedTuple):
    """A row of `sessions`."""

    id: int
    person_id: int
    platform: str
    token_hash: bytes | None
    device: str
    ip: str
    created_at: int
    seen_at: int
    expires_at: int
    ended_at: int | None

    def lives(self, now: int) -> bool:
        idle = self.token_hash is not None and now - self.seen_at > COOKIE_IDLE
        return self.ended_at is None and now < self.expires_at and not idle


class SessionLimit(Conflict):
    code = "session_limit"


_START = insert_into(sessions)
_SESSION = prepare(select(sessions).where(sessions.c.id == bindparam("id")))
_BY_TOKEN = prepare(select(sessions).where(sessions.c.token_hash == bindparam("token")))
_OF_PERSON = prepare(
    select(sessions)
    .where(sessions.c.person_id == bindparam("person"), sessions.c.ended_at.is_(None))
    .order_by(sessions.c.id)
)
_END = prepare(update(sessions).where(sessions.c.id == bindparam("b_id")).values(ended_at=bindparam("ended_at")))
_SEEN = prepare(update(sessions).where(sessions.c.id == bindparam("b_id")).values(seen_at=bindparam("seen_at")))
_RENEW = prepare(
    update(sessions)
    .where(sessions.c.id == bindparam("b_id"))
    .values(seen_at=bindparam("seen_at"), expires_at=bindparam("expires_at"))
)
_GIVE_REFRESH = insert_into(refreshes)
_REFRESH = prepare(select(refreshes.c.session_id, refreshes.c.used_at).where(refreshes.c.hash == bindparam("hash")))
_USE_REFRESH = prepare(
    update(refreshes).where(refreshes.c.hash == bindparam("b_hash")).values(used_at=bindparam("used_at"))
)


def start_session(
    tx: Tx,
    person_id: int,
    platform: str,
    *,
    ip: str = "",
    device: str = "",
    token_hash: bytes | None = None,
    refresh_hash: bytes | None = None,
    end: str | None = None,
) -> Session:
    """A new session of somebody whose password was right. `end`: a session id, or "oldest", to make room for it.

    Raises NotSignedIn when the person may not sign in, SessionLimit when the platform is full.
    """
    person = people_of(tx).by_id.get(person_id)
    if person is None or person.state != "active":
        raise NotSignedIn("The company, the name or the password is wrong.", code="invalid_credentials")
    viewer = Viewer.of(person, people_of(tx))
    others = [s for s in living(tx, person_id) if s.platform == platform]
    if end is not None and len(others) >= SESSIONS_PER_PLATFORM:
        chosen = others[0] if end == "oldest" else next((s for s in others if str(s.id) == end), None)
        if chosen is not None:
            _end(tx, viewer, chosen, "replaced")
            others.remove(chosen)
    if len(others) >= SESSIONS_PER_PLATFORM:
        raise SessionLimit(
            f"There are {len(others)} open sessions on this platform already. End one to go on.",
            sessions=[shown_session(s) for s in others],
        )
    life = COOKIE_LIFE if token_hash is not None else REFRESH_LIFE
    session = Session(
        tx.id(), person_id, platform, token_hash, device[:300], ip[:45], tx.now, tx.now, tx.now + life, None
    )
    tx.run(_START, **session._asdict())
    if refresh_hash is not None:
        tx.run(_GIVE_REFRESH, hash=refresh_hash, session_id=session.id, used_at=None)
    fact = SessionStarted(person=person_id, session=session.id, platform=platform, ip=ip[:45], device=device[:300])
    record(tx, viewer, fact, audience={f"u:{person_id}": 2})
    return session


def refresh(tx: Tx, old_hash: bytes, new_hash: bytes) -> Session | None:
    """Swap a refresh token for a new one. A used one that comes again was stolen from somebody: its session ends.

    None for every refusal: the ending of a stolen session has to commit.
    """
    row = tx.one(_REFRESH, hash=old_hash)
    if row is None:
        return None
    session_id, used_at = row
    found = tx.one(_SESSION, id=session_id)
    session = Session(*found) if found else None
    person = people_of(tx).by_id.get(session.person_id) if session else None
    if session is None or person is None or not session.lives(tx.now) or person.state != "active":
        return None
    if used_at is not None:
        _end(tx, Viewer.of(person, people_of(tx)), session, "stolen")
        return None
    tx.run(_USE_REFRESH, b_hash=old_hash, used_at=tx.now)
    tx.run(_GIVE_REFRESH, hash=new_hash, session_id=session_id, used_at=None)
    tx.run(_RENEW, b_id=session_id, seen_at=tx.now, expires_at=tx.now + REFRESH_LIFE)
    return session


def end_session(tx: Tx, viewer: Viewer, session_id: int, reason: str = "logout") -> Recorded | None:
    """End one session: the viewer's own, or anybody's for an admin. Ending an ended one changes nothing."""
    row = tx.one(_SESSION, id=session_id)
    if row is None or (row[1] != viewer.person_id and viewer.role != Role.ADMIN and not viewer.machine):
        raise NotFound
    session = Session(*row)
    return _end(tx, viewer, session, reason) if session.ended_at is None else None


def end_sessions(tx: Tx, viewer: Viewer, person_id: int, reason: str) -> int:
    """End all sessions of somebody: a new password, a suspension. How many there were."""
    found = living(tx, person_id)
    for session in found:
        _end(tx, viewer, session, reason)
    return len(found)


def _end(tx: Tx, viewer: Viewer, session: Session, reason: str) -> Recorded:
    tx.run(_END, b_id=session.id, ended_at=tx.now)
    fact = SessionEnded(person=session.person_id, session=session.id, reason=reason)
    return record(tx, viewer, fact, audience={f"u:{session.person_id}": 2})


def living(rx: Rx, person_id: int) -> list[Session]:
    """The open sessions of a person, oldest first."""
    return [s for s in (Session(*row) for row in rx.all(_OF_PERSON, person=person_id)) if s.lives(rx.now)]


def seen(tx: Tx, session_id: int) -> None:
    tx.run(_SEEN, b_id=session_id, seen_at=tx.now)


def shown_session(session: Session) -> dict[str, Any]:
    return {
        "id": str(session.id),
        "platform": session.platform,
        "device": session.device,
        "ip": session.ip,
        "created_at": rfc3339(session.created_at),
        "seen_at": rfc3339(session.seen_at),
    }


class SignedIn(NamedTuple):
    viewer: Viewer
    session: Session


def by_session(rx: Rx, session_id: int) -> SignedIn | None:
    """Who holds this session, as of now; None when it has ended."""
    row = rx.one(_SESSION, id=session_id)
    return _signed_in(rx, row)


def by_cookie(rx: Rx, token_hash: bytes) -> SignedIn | None:
    return _signed_in(rx, rx.one(_BY_TOKEN, token=token_hash))


def _signed_in(rx: Rx, row: tuple[Any, ...] | None) -> SignedIn | None:
    session = Session(*row) if row else None
    if session is None or not session.lives(rx.now):
        return None
    people = people_of(rx)
    person = people.by_id.get(session.person_id)
    if person is None or person.state != "active":
        return None
    return SignedIn(Viewer.of(person, people, session.id), session)


# Tokens --------------------------------------------------------------------------------------------------------------------

ALGORITHM = "HS256"
AUDIENCE = "leadfloor"
_REQUIRED = ["iss", "aud", "typ", "sub", "cid", "sid", "jti", "iat", "exp"]


class Claims(NamedTuple):
    company_id: int
    session_id: int
    expires_at: int


class Tokens:
    """Short-lived access tokens. They name a company and a session and carry no right: rights are read at each request."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.derived("access-token")

    def issue(self, company_id: int, session: Session, now: int, life: int = ACCESS_LIFE) -> str:
        claims = {
            "iss": AUDIENCE,
            "aud": AUDIENCE,
            "typ": "access",
            "sub": str(session.person_id),
            "cid": str(company_id),
            "sid": str(session.id),
            "jti": secrets.token_urlsafe(12),
            "iat": now // SECOND,
            "exp": (now + life) // SECOND,
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def read(self, token: str, now: int) -> Claims:
        """The claims of a token that we issued and that is good at `now`. Raises NotSignedIn for anything else, always the same."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=AUDIENCE,
                # the library looks at the wall; what is good when is decided by the hub's own clock, here below
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            good = int(claims.get("nbf", 0)) * SECOND <= now < int(claims["exp"]) * SECOND
            company, session = int(claims["cid"]), int(claims["sid"])
            if claims["typ"] != "access" or not good or not 0 < min(company, session) <= max(company, session) < 2**63:
                raise NotSignedIn("Sign in first.")
            return Claims(company, session, int(claims["exp"]) * SECOND)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise NotSignedIn("Sign in first.") from None
