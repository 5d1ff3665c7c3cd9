"""How far somebody can see: the only definition of visibility. Lists, details, streams, screens and exports all use it.

Every viewer holds exactly one reach key; every lead has a set of keys it can be seen under (`lead_reach`); a viewer sees a lead
when his key is in the set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select

from ..errors import NotAllowed
from ..store.journal import people_version
from ..store.statements import prepare
from ..store.tables.people import partner_companies, people
from ..store.transactions import Rx
from .roles import RIGHTS, May, Rights, Role, rights_of

ALL, INT = "all", "int"
EVERYTHING = frozenset({ALL, INT})
"""Keys that see every lead that is not archived. Implied: they have no rows in `lead_access` and `journal_audience`."""

NO_REACH = ""


class Person(NamedTuple):
    """A row of `people`."""

    id: int
    version: int
    username: str
    name: str
    email: str | None
    role: str
    state: str
    manager_id: int | None
    salesperson_id: int | None
    partner_company_id: int | None
    data_visibility: str
    capacity: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class People:
    """Everybody of a company and their places, as of one version of the people table."""

    by_id: Mapping[int, Person] = field(default_factory=dict)
    partner_companies: Mapping[int, str] = field(default_factory=dict)
    managers: frozenset[int] = frozenset()
    supporters: frozenset[int] = frozenset()
    salespeople: tuple[int, ...] = ()
    """The active ones, the longest there first."""

    def name(self, person_id: int | None) -> str | None:
        person = self.by_id.get(person_id) if person_id else None
        return person.name if person else None

    def manager_of(self, salesperson_id: int | None) -> int | None:
        person = self.by_id.get(salesperson_id) if salesperson_id else None
        return person.manager_id if person else None

    def team_of(self, person_id: int | None) -> int | None:
        """The manager whose team somebody belongs to; None outside of teams."""
        person = self.by_id.get(person_id) if person_id else None
        if person is None:
            return None
        if person.role == Role.MANAGER:
            return person.id
        if person.role == Role.WARRIOR:
            return self.manager_of(person.salesperson_id)
        return person.manager_id

    def of_manager(self, manager_id: int) -> frozenset[int]:
        """The salespeople of a manager and the warriors under them."""
        sales = {p.id for p in self.by_id.values() if p.role == Role.SALESPERSON and p.manager_id == manager_id}
        return frozenset(
            sales | {p.id for p in self.by_id.values() if p.role == Role.WARRIOR and p.salesperson_id in sales}
        )

    def warriors_of(self, salesperson_id: int) -> frozenset[int]:
        return frozenset(
            p.id for p in self.by_id.values() if p.role == Role.WARRIOR and p.salesperson_id == salesperson_id
        )


_PEOPLE = prepare(select(people))
_PARTNERS = prepare(select(partner_companies))


def people_of(rx: Rx) -> People:
    """The company's people as of this snapshot."""
    return rx.cached("people", people_version(rx), _load_people)


def _load_people(rx: Rx) -> People:
    by_id = {row[0]: Person(*row) for row in rx.all(_PEOPLE)}
    return People(
        by_id=by_id,
        partner_companies=dict(rx.all(_PARTNERS)),
        managers=frozenset(p.id for p in by_id.values() if p.role == Role.MANAGER),
        supporters=frozenset(p.id for p in by_id.values() if p.role == Role.CUSTOMER_SUCCESS),
        salespeople=tuple(sorted(p.id for p in by_id.values() if p.role == Role.SALESPERSON and p.state == "active")),
    )


class Placed(NamedTuple):
    """What of a lead decides who sees it. `pool_open`: the company lets dispatchers see leads that nobody owns."""

    status: str
    salesperson_id: int | None
    warrior_id: int | None
    partner_company_id: int | None
    support_id: int | None
    archived: bool
    pool_open: bool = True


def lead_reach(lead: Placed, shares: Iterable[tuple[int, str]], people: People) -> frozenset[str]:
    """The keys that a lead can be seen under, beyond those of `EVERYTHING`. `shares` are (person, kind)."""
    if lead.archived:
        return frozenset()
    keys: set[str] = set()
    in_work = lead.status in RIGHTS[Role.WARRIOR].sees
    owner = lead.salesperson_id
    shares = list(shares)
    if owner is not None:
        keys |= _seen_by_salesperson(owner, people)
    elif lead.pool_open:
        keys.update(f"mgr:{m}" for m in people.managers)
        keys.update(f"cs:{s}" for s in people.supporters)
    for person, kind in shares:
        keys.add(f"sp:{person}" if kind == "share" else f"cs:{person}")
    if lead.warrior_id is not None:
        keys |= _seen_by_warrior(lead.warrior_id, in_work, people)
    if lead.partner_company_id is not None and lead.status in RIGHTS[Role.PARTNER].sees:
        keys.add(f"pc:{lead.partner_company_id}")
    if lead.support_id is not None and lead.status in RIGHTS[Role.CUSTOMER_SUCCESS].sees:
        keys.add(f"cs:{lead.support_id}")
    shared = any(kind == "share" for _, kind in shares)
    if (owner is not None or shared) and lead.status in RIGHTS[Role.COSALES].sees:
        keys.add("co")
    return frozenset(keys)


def _seen_by_salesperson(salesperson_id: int, people: People) -> set[str]:
    manager = people.manager_of(salesperson_id)
    return {f"sp:{salesperson_id}"} | ({f"mgr:{manager}"} if manager is not None else set())


def _seen_by_warrior(warrior_id: int, in_work: bool, people: People) -> set[str]:
    warrior = people.by_id.get(warrior_id)
    keys = {f"w:{warrior_id}"} if in_work else set()
    if warrior is None:
        return keys
    if in_work and warrior.partner_company_id is not None:
        keys.add(f"wpc:{warrior.partner_company_id}")
    if warrior.salesperson_id is not None:
        keys |= _seen_by_salesperson(warrior.salesperson_id, people)
    return keys


def reach_of(person: Person) -> str:
    """The one key that a person holds; `NO_REACH` for a role that sees nothing."""
    match person.role:
        case Role.ADMIN | Role.DEV | Role.GUEST:
            return ALL
        case Role.INTEGRATION:
            return INT
        case Role.MANAGER:
            return f"mgr:{person.id}"
        case Role.SALESPERSON:
            return f"sp:{person.id}"
        case Role.COSALES:
            return "co"
        case Role.WARRIOR:
            if person.data_visibility == "All" and person.partner_company_id is not None:
                return f"wpc:{person.partner_company_id}"
            return f"w:{person.id}"
        case Role.PARTNER:
            return f"pc:{person.partner_company_id}" if person.partner_company_id is not None else NO_REACH
        case Role.CUSTOMER_SUCCESS:
            return f"cs:{person.id}"
        case _:
            return NO_REACH


def team_of_key(key: str, people: People) -> int | None:
    """The team that holders of a key belong to: a note of another team is not for a standard view."""
    prefix, _, holder = key.partition(":")
    return people.team_of(int(holder)) if prefix in ("sp", "w", "mgr") else None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking. A machine is a viewer too, so that the audit always has an actor."""

    person_id: int | None
    name: str
    role: str
    reach: str
    rights: Rights
    state: str = "active"
    team: int | None = None
    partner_company_id: int | None = None
    session_id: int | None = None
    machine: bool = False
    personal_key: str = field(default="", compare=False)

    @classmethod
    def of(cls, person: Person, people: People, session_id: int | None = None) -> "Viewer":
        return cls(
            person_id=person.id,
            name=person.name,
            role=person.role,
            reach=reach_of(person),
            rights=rights_of(person.role),
            state=person.state,
            team=people.team_of(person.id),
            partner_company_id=person.partner_company_id,
            session_id=session_id,
            personal_key=f"u:{person.id}",
        )

    @classmethod
    def system(cls, name: str) -> "Viewer":
        """A machine: a channel, the clock, the operator's command line. It may what an admin may."""
        return cls(None, name, "SYSTEM", ALL, RIGHTS[Role.ADMIN], machine=True)

    @property
    def view(self) -> str:
        return self.rights.view

    def may(self, what: May) -> bool:
        return what in self.rights.may

    def must(self, what: May, sentence: str) -> None:
        """Raise NotAllowed with `sentence` unless the role may do `what`."""
        if what not in self.rights.may:
            raise NotAllowed(sentence)

    def as_of(self, people: People) -> "Viewer":
        """The same person with the rights that he has in this snapshot: rights count at the moment of the act."""
        if self.machine:
            return self
        person = people.by_id.get(self.person_id or 0)
        if person is None or person.state != "active":
            raise NotAllowed("This account is not active.")
        return Viewer.of(person, people, self.session_id)
