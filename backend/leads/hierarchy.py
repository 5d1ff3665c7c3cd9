"""The hierarchy above the leads: when somebody moves in it, other people see his leads.

A move first takes away, in one transaction, every key that no longer holds; the new keys follow in chunks. For a moment too little is
seen, never too much. What is owed stands in a table, so a restart goes on with it.
"""

from typing import Any

from sqlalchemy import bindparam, delete, or_, select

from ..access import companies
from ..access import people as access_people
from ..access.companies import CompanySettings, settings_of
from ..access.roles import May, Role
from ..access.scope import Person, Viewer, lead_reach, people_of
from ..events import LeadRekeyed
from ..store.journal import record
from ..store.statements import insert_into, prepare
from ..store.tables.leads import lead_shares, leads, rekeys
from ..store.transactions import Tx
from .changes import load
from .reach import Reach, placed, settle

CHUNK = 250
"""Leads per transaction where many are touched, so that nobody else waits long."""

DISPATCHERS = (Role.MANAGER, Role.CUSTOMER_SUCCESS)
"""Who sees the pool: when one of them comes or goes, every lead of the pool changes its keys."""


def move_person(tx: Tx, viewer: Viewer, person_id: int, *, version: int, **places: Any) -> Person:
    """Give somebody another place (role, manager_id, salesperson_id, partner_company_id, data_visibility).

    What he may see changes at once; the leads that are seen through him lose the keys that no longer hold in this transaction
    and get their new ones by `rekey_owed`.
    """
    viewer = viewer.as_of(people_of(tx))
    viewer.must(May.PEOPLE, "Only an admin moves people.")
    before, after = access_people.change_place(tx, viewer, person_id, version=version, **places)
    pool = before.role != after.role and (before.role in DISPATCHERS or after.role in DISPATCHERS)
    _rekey_after_move(tx, viewer, person_id, pool=pool)
    return after


def add_person(tx: Tx, viewer: Viewer, given: dict[str, Any]) -> Person:
    """Somebody new. A new dispatcher sees the pool as soon as `rekey_owed` has run."""
    viewer = viewer.as_of(people_of(tx))
    viewer.must(May.PEOPLE, "Only an admin adds people.")
    person = access_people.add(tx, viewer, given)
    if person.role in DISPATCHERS:
        _rekey_after_move(tx, viewer, person.id, pool=True)
    return person


def change_settings(tx: Tx, viewer: Viewer, **given: Any) -> CompanySettings:
    """Change the company's settings. Opening or closing the pool changes who sees the leads that nobody owns, as a move does."""
    viewer = viewer.as_of(people_of(tx))
    viewer.must(May.PEOPLE, "Only an admin changes the settings.")
    before = settings_of(tx)
    after = companies.change_settings(tx, viewer, **given)
    if before.pool_open != after.pool_open:
        _take_and_owe(tx, viewer, {lead_id for (lead_id,) in tx.all(_OF_POOL)})
    return after


_OF_PERSON = prepare(
    select(leads.c.id).where(
        leads.c.archived_at.is_(None),
        or_(
            leads.c.salesperson_id == bindparam("person"),
            leads.c.warrior_id == bindparam("person"),
            leads.c.support_id == bindparam("person"),
            leads.c.id.in_(select(lead_shares.c.lead_id).where(lead_shares.c.person_id == bindparam("person"))),
        ),
    )
)
_OF_WARRIOR = prepare(
    select(leads.c.id).where(leads.c.archived_at.is_(None), leads.c.warrior_id == bindparam("person"))
)
_OF_POOL = prepare(select(leads.c.id).where(leads.c.archived_at.is_(None), leads.c.salesperson_id.is_(None)))
_OWE = insert_into(rekeys, ignore=True)
_OWED = prepare(select(rekeys.c.lead_id).order_by(rekeys.c.lead_id).limit(bindparam("most")))
_PAID = prepare(delete(rekeys).where(rekeys.c.lead_id == bindparam("lead_id")))


def _rekey_after_move(tx: Tx, viewer: Viewer, person: int, *, pool: bool) -> None:
    touched = {lead_id for (lead_id,) in tx.all(_OF_PERSON, person=person)}
    for warrior in people_of(tx).warriors_of(person):
        touched.update(lead_id for (lead_id,) in tx.all(_OF_WARRIOR, person=warrior))
    if pool:
        touched.update(lead_id for (lead_id,) in tx.all(_OF_POOL))
    _take_and_owe(tx, viewer, touched)


def _take_and_owe(tx: Tx, viewer: Viewer, touched: set[int]) -> None:
    for lead_id in sorted(touched):
        _rekey(tx, viewer, lead_id, only_take=True)
    if touched:
        tx.many(_OWE, [{"lead_id": lead_id} for lead_id in sorted(touched)])


def rekey_owed(tx: Tx, viewer: Viewer) -> int:
    """Give the next chunk of leads the keys that a move in the hierarchy owes them; how many there were."""
    chunk = [lead_id for (lead_id,) in tx.all(_OWED, most=CHUNK)]
    for lead_id in chunk:
        _rekey(tx, viewer, lead_id, only_take=False)
    if chunk:
        tx.many(_PAID, [{"lead_id": lead_id} for lead_id in chunk])
    return len(chunk)


def _rekey(tx: Tx, viewer: Viewer, lead_id: int, *, only_take: bool) -> None:
    found = load(tx, lead_id)
    if found is None:
        return
    lead, shares = found
    old = tx.owes(Reach).standing(lead_id, lead).keys
    new = lead_reach(placed(lead, settings_of(tx).pool_open), shares, people_of(tx))
    if (old & new if only_take else new) == old:
        return
    moved = settle(tx, lead, lead, shares, keep=old if only_take else None)
    record(
        tx,
        viewer,
        LeadRekeyed(),
        lead=lead_id,
        version=lead.version,
        side=moved.side,
        audience=moved.audience,
        row=(lead, shares),
    )
