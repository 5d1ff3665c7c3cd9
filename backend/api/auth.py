"""Sign-in for programs: login, refresh, logout, me. One and the same 401 for everything that is wrong, in the same time."""

import secrets
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import Field, StringConstraints

from ..access import signin
from ..access.companies import settings_of
from ..access.roles import Status
from ..access.scope import people_of
from ..callers import address_of, check_password, hub_of
from ..errors import HubError, NotSignedIn
from ..hub import Hub
from ..store.database import Store
from ..store.ids import SECOND
from ..store.secrets import hashed
from ..store.transactions import Rx
from .bodies import Body, path_id, router
from .viewer import SignedInCaller

api = router("sign-in")

Name = Annotated[str, StringConstraints(min_length=1, max_length=254)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Platform = Literal["web", "desktop", "mobile", "api"]


class Login(Body):
    company: Name = Field(examples=["demo"])
    username: Name = Field(examples=["sales1"], description="Username or e-mail.")
    password: Password = Field(examples=["correct horse battery staple"])
    platform: Platform = "api"
    end_session: Annotated[str, StringConstraints(max_length=20)] | None = Field(
        None, description="A session id, or `oldest`, to end when the platform is full."
    )


class RefreshBody(Body):
    refresh_token: Annotated[str, StringConstraints(max_length=300)] = Field(examples=["818848460122882048.nRJc…"])


@api.post("/auth/login", openapi_extra={"security": []}, summary="Sign in")
async def login(body: Login, request: Request) -> dict[str, Any]:
    hub, address = hub_of(request), address_of(request)
    store, person = await check_password(hub, body.company, body.username, body.password, address)
    refresh_token = f"{store.id}.{secrets.token_urlsafe(32)}"
    session = await store.write(
        signin.start_session,
        person,
        body.platform,
        ip=address,
        device=request.headers.get("user-agent", ""),
        refresh_hash=hashed(refresh_token),
        end=body.end_session,
    )
    user = await store.read(_user, session)
    return {**_tokens(hub, store, session, refresh_token), "user": user}


def _tokens(hub: Hub, store: Store, session: signin.Session, refresh_token: str) -> dict[str, Any]:
    return {
        "access_token": hub.tokens.issue(store.id, session, hub.clock()),
        "refresh_token": refresh_token,
        "token_type": "Bearer",
        "expires_in": signin.ACCESS_LIFE // SECOND,
    }


def _user(rx: Rx, session: signin.Session) -> dict[str, Any]:
    person = people_of(rx).by_id[session.person_id]
    return {"id": str(person.id), "username": person.username, "name": person.name, "role": person.role}


@api.post("/auth/refresh", openapi_extra={"security": []}, summary="Swap a refresh token for new tokens")
async def refresh(body: RefreshBody, request: Request) -> dict[str, Any]:
    hub = hub_of(request)
    try:
        store = await hub.database.company(path_id(body.refresh_token.partition(".")[0]))
    except HubError:
        raise _ended() from None
    fresh = f"{store.id}.{secrets.token_urlsafe(32)}"
    session = await store.write(signin.refresh, hashed(body.refresh_token), hashed(fresh))
    if session is None:
        raise _ended()
    return _tokens(hub, store, session, fresh)


def _ended() -> NotSignedIn:
    return NotSignedIn("This session has ended. Sign in again.", code="session_ended")


@api.post("/auth/logout", status_code=204, summary="End this session")
async def logout(caller: SignedInCaller) -> None:
    await caller.store.write(signin.end_session, caller.viewer, caller.session.id, "logout")


@api.get("/me", summary="Who I am and what I may do")
async def me(caller: SignedInCaller) -> dict[str, Any]:
    viewer = caller.viewer
    company = await caller.store.read(settings_of)
    return {
        "id": str(viewer.person_id),
        "name": viewer.name,
        "role": viewer.role,
        "company": {
            "id": str(caller.store.id),
            "slug": caller.store.name,
            "currency": company.currency,
            "zone": company.zone,
        },
        "pages": list(viewer.rights.pages),
        "permissions": sorted(viewer.rights.may),
        "statuses": {
            "sees": [s.value for s in Status if s in viewer.rights.sees],
            "sets": [s.value for s in Status if s in viewer.rights.sets],
        },
        "view": viewer.view,
    }
