"""The people of a company: add one, give one another place, suspend one. Leads that are seen through them: `leads/hierarchy.py`."""

from typing import Any

from sqlalchemy import bindparam, select, update

from ..errors import Conflict, Invalid, NotFound, Stale
from ..events import PersonJoined, RightsChanged
from ..store.journal import people_changed, record
from ..store.statements import insert_into, prepare
from ..store.tables.people import partner_companies, people
from ..store.transactions import Tx
from .roles import Role
from .scope import Person, Viewer, people_of

PLACES = frozenset({"role", "manager_id", "salesperson_id", "partner_company_id", "data_visibility"})
_REFERENCES = {"manager_id": Role.MANAGER, "salesperson_id": Role.SALESPERSON}

_ADD = insert_into(people)
_ADD_PARTNER = insert_into(partner_companies)
_PARTNER_NAMED = prepare(select(partner_companies.c.id).where(partner_companies.c.name == bindparam("name")))
_MOVE = prepare(
    update(people)
    .where(people.c.id == bindparam("b_id"))
    .values({c: bindparam(c) for c in ("version", "state", *sorted(PLACES))})
)


def add(tx: Tx, viewer: Viewer, given: dict[str, Any]) -> Person:
    """Somebody new: username, name, role, and his place. Raises Invalid, or Conflict when the username is taken."""
    role = given.get("role")
    if role not in list(Role):
        raise Invalid(f"{role!r} is not a role.", field="role")
    everybody = people_of(tx)
    if any(p.username == given["username"] for p in everybody.by_id.values()):
        raise Conflict("That username is taken.", code="taken")
    person = Person(
        id=tx.id(),
        version=1,
        username=given["username"],
        name=given["name"],
        email=given.get("email"),
        role=str(role),
        state=given.get("state", "active"),
        manager_id=given.get("manager_id"),
        salesperson_id=given.get("salesperson_id"),
        partner_company_id=given.get("partner_company_id"),
        data_visibility=given.get("data_visibility", "Own"),
        capacity=given.get("capacity"),
        created_at=tx.now,
    )
    _check_places({k: getattr(person, k) for k in PLACES}, tx)
    tx.run(_ADD, **person._asdict())
    people_changed(tx)
    record(tx, viewer, PersonJoined(person=person.id, role=person.role), audience={f"u:{person.id}": 2})
    return person


def add_partner_company(tx: Tx, name: str) -> int:
    """The id of the partner company of this name, made when there is none."""
    there: int | None = tx.value(_PARTNER_NAMED, name=name)
    if there is not None:
        return there
    there = tx.id()
    tx.run(_ADD_PARTNER, id=there, name=name)
    people_changed(tx)
    return there


def change_place(tx: Tx, viewer: Viewer, person_id: int, *, version: int, **places: Any) -> tuple[Person, Person]:
    """Another place in the hierarchy; (before, after). The person's streams and screens start again with what he sees now."""
    if not places or set(places) - PLACES:
        raise Invalid("That is not a place.", field=sorted(set(places) - PLACES or {"role"})[0])
    before = _current(tx, person_id, version)
    _check_places(places, tx)
    if before.role == Role.ADMIN and places.get("role", Role.ADMIN) != Role.ADMIN:
        _must_not_be_last_admin(tx, before)
    after = before._replace(version=version + 1, **places)
    return before, _write(tx, viewer, before, after)


def suspend(tx: Tx, viewer: Viewer, person_id: int, *, version: int, state: str = "suspended") -> Person:
    """Suspend somebody, or with `state` "active" let him in again. His sessions are ended by `signin.end_sessions`."""
    before = _current(tx, person_id, version)
    if before.role == Role.ADMIN and state != "active":
        _must_not_be_last_admin(tx, before)
    return _write(tx, viewer, before, before._replace(version=version + 1, state=state))


def _current(tx: Tx, person_id: int, version: int) -> Person:
    before = people_of(tx).by_id.get(person_id)
    if before is None:
        raise NotFound
    if before.version != version:
        raise Stale(f"{before.name} has changed since you looked.", version=before.version)
    return before


def _write(tx: Tx, viewer: Viewer, before: Person, after: Person) -> Person:
    tx.run(_MOVE, b_id=after.id, **{c: getattr(after, c) for c in ("version", "state", *PLACES)})
    people_changed(tx)
    changes = {c: [getattr(before, c), getattr(after, c)] for c in ("state", *sorted(PLACES))}
    changes = {c: pair for c, pair in changes.items() if pair[0] != pair[1]}
    record(tx, viewer, RightsChanged(person=after.id, changes=changes), audience={f"u:{after.id}": 2})
    return after


def _check_places(places: dict[str, Any], tx: Tx) -> None:
    everybody = people_of(tx)
    if "role" in places and places["role"] not in list(Role):
        raise Invalid(f"{places['role']!r} is not a role.", field="role")
    if places.get("data_visibility", "Own") not in ("Own", "All"):
        raise Invalid("Data visibility is Own or All.", field="data_visibility")
    for name, role in _REFERENCES.items():
        target = places.get(name)
        if target is not None and (target not in everybody.by_id or everybody.by_id[target].role != role):
            raise Invalid("Unknown reference.", field=name, code="unknown_reference")
    partner = places.get("partner_company_id")
    if partner is not None and partner not in everybody.partner_companies:
        raise Invalid("Unknown reference.", field="partner_company_id", code="unknown_reference")


def _must_not_be_last_admin(tx: Tx, person: Person) -> None:
    if not any(
        p.role == Role.ADMIN and p.state == "active" and p.id != person.id for p in people_of(tx).by_id.values()
    ):
        raise Conflict("A company keeps at least one admin.", code="last_admin")
