"""The people of the company, as far as the caller may know them."""

from typing import Any

from ..access.roles import Role
from ..access.scope import Viewer, people_of
from ..errors import NotAllowed
from ..store.transactions import Rx
from .bodies import router
from .viewer import SignedInCaller

api = router("people")

_NOT_TOLD = frozenset({Role.PARTNER})


@api.get("/users", summary="People of the company")
async def users(caller: SignedInCaller) -> dict[str, Any]:
    return {"items": await caller.store.read(_users, caller.viewer), "next": None}


def _users(rx: Rx, viewer: Viewer) -> list[dict[str, Any]]:
    """Colleagues by name; a role whose view hides other people sees himself alone."""
    if viewer.view == "nothing":
        raise NotAllowed("Your role does not see people.")
    everybody = sorted(people_of(rx).by_id.values(), key=lambda p: (p.role, p.username))
    return [
        {
            "id": str(p.id),
            "username": p.username,
            "name": p.name,
            "role": p.role,
            "state": p.state,
            "version": p.version,
        }
        for p in everybody
        if viewer.role not in _NOT_TOLD or p.id == viewer.person_id
    ]
