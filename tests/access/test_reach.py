"""Who sees a lead: the reach table, row by row, without a database."""

from typing import Any

import pytest

from backend.access.scope import People, Person, Placed, Viewer, lead_reach, reach_of
from backend.leads.reach import within

ADMIN, DEV, GUEST, INTEGRATION, ODD = 1, 2, 3, 4, 5
MANAGER1, MANAGER2, SALES1, SALES2, SALES3, LONER = 11, 12, 21, 22, 23, 24
COSALES, WARRIOR1, WARRIOR2, WARRIOR3, PARTNERLESS = 31, 41, 42, 43, 44
PARTNER, OTHER_PARTNER, HOMELESS, SUPPORT1, SUPPORT2 = 51, 52, 53, 61, 62
PC, PC2 = 900, 901


def _person(id_: int, role: str, **place: Any) -> Person:
    given = {
        "manager_id": None,
        "salesperson_id": None,
        "partner_company_id": None,
        "data_visibility": "Own",
        **place,
    }
    return Person(
        id=id_, version=1, username=str(id_), name=str(id_), email=None, role=role, state="active", capacity=None,
        created_at=0, **given,
    )  # fmt: skip


EVERYBODY = [
    _person(ADMIN, "ADMIN"),
    _person(DEV, "DEV"),
    _person(GUEST, "GUEST"),
    _person(INTEGRATION, "INTEGRATION"),
    _person(ODD, "SUPER_ADMIN"),
    _person(MANAGER1, "MANAGER"),
    _person(MANAGER2, "MANAGER"),
    _person(SALES1, "SALESPERSON", manager_id=MANAGER1),
    _person(SALES2, "SALESPERSON", manager_id=MANAGER1),
    _person(SALES3, "SALESPERSON", manager_id=MANAGER2),
    _person(LONER, "SALESPERSON"),
    _person(COSALES, "COSALES"),
    _person(WARRIOR1, "WARRIOR", salesperson_id=SALES1, partner_company_id=PC),
    _person(WARRIOR2, "WARRIOR", salesperson_id=SALES2, partner_company_id=PC),
    _person(WARRIOR3, "WARRIOR", salesperson_id=SALES2, partner_company_id=PC, data_visibility="All"),
    _person(PARTNERLESS, "WARRIOR", salesperson_id=SALES3, data_visibility="All"),
    _person(PARTNER, "PARTNER", partner_company_id=PC),
    _person(OTHER_PARTNER, "PARTNER", partner_company_id=PC2),
    _person(HOMELESS, "PARTNER"),
    _person(SUPPORT1, "CUSTOMER_SUCCESS"),
    _person(SUPPORT2, "CUSTOMER_SUCCESS"),
]
PEOPLE = People(
    by_id={p.id: p for p in EVERYBODY},
    partner_companies={PC: "Partner One", PC2: "Partner Two"},
    managers=frozenset({MANAGER1, MANAGER2}),
    supporters=frozenset({SUPPORT1, SUPPORT2}),
)
ALWAYS = {ADMIN, DEV, GUEST, INTEGRATION}
POOL = {MANAGER1, MANAGER2, SUPPORT1, SUPPORT2}


def _lead(status: str = "contacted", **place: Any) -> Placed:
    given = {"salesperson_id": None, "warrior_id": None, "partner_company_id": None, "support_id": None} | place
    return Placed(status=status, archived=given.pop("archived", False), pool_open=given.pop("pool_open", True), **given)


# what, the lead, its shares, who sees it beside those who see everything
TABLE: list[tuple[str, Placed, list[tuple[int, str]], set[int]]] = [
    ("pool", _lead("new"), [], POOL),
    ("pool, closed by the company", _lead("new", pool_open=False), [], set()),
    ("own", _lead(salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("own, other team", _lead(salesperson_id=SALES3), [], {SALES3, MANAGER2, COSALES}),
    ("own, without a manager", _lead(salesperson_id=LONER), [], {LONER, COSALES}),
    ("own, new", _lead("new", salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("own, unqualified", _lead("unqualified", salesperson_id=SALES1), [], {SALES1, MANAGER1}),
    ("own, lost", _lead("lost", salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("shared", _lead(salesperson_id=SALES1), [(SALES3, "share")], {SALES1, SALES3, MANAGER1, COSALES}),
    ("shared, of the pool", _lead("new"), [(SALES3, "share")], POOL | {SALES3, COSALES}),
    ("shared, unqualified", _lead("unqualified", salesperson_id=SALES1), [(SALES2, "share")], {SALES1, SALES2, MANAGER1}),
    ("open ticket", _lead("lost", salesperson_id=SALES1), [(SUPPORT1, "ticket")], {SALES1, MANAGER1, COSALES, SUPPORT1}),
    ("open ticket, unqualified, closed pool", _lead("unqualified", pool_open=False), [(SUPPORT2, "ticket")], {SUPPORT2}),
    ("open ticket is no share", _lead("contacted", pool_open=False), [(SUPPORT2, "ticket")], {SUPPORT2}),
    ("warrior's", _lead(warrior_id=WARRIOR1, salesperson_id=SALES1), [], {WARRIOR1, WARRIOR3, SALES1, MANAGER1, COSALES}),
    ("warrior's of another salesperson", _lead(warrior_id=WARRIOR1, salesperson_id=SALES3), [],
     {WARRIOR1, WARRIOR3, SALES1, MANAGER1, SALES3, MANAGER2, COSALES}),
    ("warrior's alone", _lead(warrior_id=WARRIOR2), [], POOL | {WARRIOR2, WARRIOR3, SALES2}),
    ("warrior's, partner's All", _lead(warrior_id=WARRIOR3, salesperson_id=SALES2), [],
     {WARRIOR3, SALES2, MANAGER1, COSALES}),
    ("warrior without a partner company", _lead(warrior_id=PARTNERLESS, salesperson_id=SALES3), [],
     {PARTNERLESS, SALES3, MANAGER2, COSALES}),
    ("warrior's, new", _lead("new", warrior_id=WARRIOR1, salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("warrior's, lost", _lead("lost", warrior_id=WARRIOR1, salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("warrior's, unqualified", _lead("unqualified", warrior_id=WARRIOR1, salesperson_id=SALES1), [], {SALES1, MANAGER1}),
    ("warrior who has left", _lead(warrior_id=999, salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("support, contacted", _lead(support_id=SUPPORT1, salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("support, lost", _lead("lost", support_id=SUPPORT1, salesperson_id=SALES1), [], {SALES1, MANAGER1, COSALES}),
    ("archived", _lead("won", salesperson_id=SALES1, warrior_id=WARRIOR1, partner_company_id=PC, support_id=SUPPORT1, archived=True),
     [(SALES3, "share"), (SUPPORT2, "ticket")], set()),
    ("archived pool", _lead("new", archived=True), [], set()),
    *((f"warrior's, {s}", _lead(s, warrior_id=WARRIOR1, salesperson_id=SALES1), [], {WARRIOR1, WARRIOR3, SALES1, MANAGER1, COSALES})
      for s in ("contacted", "qualified", "demo", "proposal", "trial", "won")),
    *((f"partner's, {s}", _lead(s, partner_company_id=PC, salesperson_id=SALES1), [], {PARTNER, SALES1, MANAGER1, COSALES})
      for s in ("contacted", "qualified", "demo", "proposal", "trial", "won")),
    *((f"partner's, {s}", _lead(s, partner_company_id=PC, pool_open=False), [], set()) for s in ("new", "lost", "unqualified")),
    *((f"support, {s}", _lead(s, support_id=SUPPORT1, salesperson_id=SALES1), [], {SUPPORT1, SALES1, MANAGER1, COSALES})
      for s in ("trial", "won")),
    ("partner company is no warrior's", _lead(partner_company_id=PC, pool_open=False), [], {PARTNER}),
]  # fmt: skip


@pytest.mark.parametrize(("lead", "shares", "seen_by"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_lead_is_seen_by_exactly_these_people(lead: Placed, shares: list[tuple[int, str]], seen_by: set[int]) -> None:
    keys = lead_reach(lead, shares, PEOPLE)
    assert {p.id for p in EVERYBODY if within(reach_of(p), keys)} == seen_by | ALWAYS


@pytest.mark.parametrize(
    ("person", "key"),
    [
        *((who, "all") for who in (ADMIN, DEV, GUEST)),
        (INTEGRATION, "int"),
        (MANAGER1, "mgr:11"),
        (SALES1, "sp:21"),
        (COSALES, "co"),
        (WARRIOR1, "w:41"),
        (WARRIOR3, "wpc:900"),
        (PARTNERLESS, "w:44"),
        (PARTNER, "pc:900"),
        (SUPPORT1, "cs:61"),
        (ODD, ""),
        (HOMELESS, ""),
    ],
)
def test_a_person_holds_exactly_one_reach_key(person: int, key: str) -> None:
    assert reach_of(PEOPLE.by_id[person]) == key


def test_a_person_without_reach_sees_no_lead_at_all() -> None:
    viewer = Viewer.of(PEOPLE.by_id[ODD], PEOPLE)
    every = frozenset().union(*(lead_reach(lead, shares, PEOPLE) for _, lead, shares, _ in TABLE))
    assert not within(viewer.reach, every) and not within("", every | {""})
    assert not viewer.rights.may


def test_who_sees_everything_needs_no_keys_of_his_own() -> None:
    assert not {"all", "int"} & lead_reach(_lead("new"), [], PEOPLE)
