"""Everything that can be done to a lead. One action is one plain function of an open transaction.

Order within each: is it within reach (NotFound), may this role (NotAllowed), is it legal (Invalid, Conflict, Stale); then, and only
then, the first write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..access.companies import settings_of
from ..access.roles import May, Role, Status, Whom
from ..access.scope import People, Viewer, people_of
from ..errors import Conflict, Invalid, NotAllowed, NotFound
from ..events import (
    ActivityLogged,
    LeadArchived,
    LeadAssigned,
    LeadCaptured,
    LeadEdited,
    LeadFact,
    LeadMoved,
    LeadPlaced,
    LeadRestored,
    LeadShared,
    Noticed,
)
from ..store.ids import MINUTE
from ..store.journal import facts_since, record
from ..store.transactions import Tx
from . import assignment
from .changes import Done, change, create, load, load_in_reach
from .fields import LeadRow, called, cleaned
from .lifecycle import check_move
from .reach import in_reach

UNDO_MINUTES = 10
ACTIVITIES = ("call", "meeting", "note", "email")


def capture(
    tx: Tx,
    viewer: Viewer,
    given: Mapping[str, Any],
    *,
    known_as: tuple[tuple[str, str], ...] = (),
    arriving: Mapping[str, Any] | None = None,
) -> Done:
    """A new lead from the writable fields `given`; `arriving` are columns that come with it (its first message).

    A salesperson's or warrior's capture is his own, a partner's his partner company's; any other follows the inbound rule.
    """
    viewer = viewer.as_of(people_of(tx))
    viewer.must(May.CAPTURE, "Your role may not add leads.")
    company = settings_of(tx)
    fields = {"source": "Manual", "currency": company.currency, **cleaned(given, company.region or None)}
    owners = _owners_at_capture(tx, viewer)
    assigned = any(owners.values())
    row = LeadRow(
        **{
            **dict.fromkeys(LeadRow._fields),
            **fields,
            **owners,
            "id": tx.id(),
            "version": 1,
            "name": called(fields),
            "status": Status.CONTACTED.value if assigned else Status.NEW.value,
            "status_at": tx.now,
            "rank": -tx.now,
            "unread": 0,
            "created_at": tx.now,
            "created_by": viewer.person_id,
            "created_via": None if viewer.person_id else viewer.name,
            "updated_at": tx.now,
            "updated_by": viewer.person_id,
            "updated_via": None if viewer.person_id else viewer.name,
            **(arriving or {}),
        }
    )
    phone = row.phone_reversed[::-1] if row.phone_reversed and (row.phone or "").startswith("+") else None
    known_as = (*known_as, *((("phone", phone),) if phone else ()))
    done = create(tx, viewer, row, LeadCaptured(source=row.source), known_as)
    _notice_owner(tx, viewer, done, f"New lead: {row.name}")
    return done


def _owners_at_capture(tx: Tx, viewer: Viewer) -> dict[str, int | None]:
    people = people_of(tx)
    match viewer.role:
        case Role.SALESPERSON:
            return {"salesperson_id": viewer.person_id}
        case Role.WARRIOR:
            return {"warrior_id": viewer.person_id, "salesperson_id": _salesperson_of(people, viewer.person_id)}
        case Role.PARTNER:
            return {"partner_company_id": viewer.partner_company_id}
        case _:
            return {"salesperson_id": assignment.choose(tx).salesperson_id}


def edit(tx: Tx, viewer: Viewer, lead_id: int, given: Mapping[str, Any], *, version: int) -> Done:
    """Change writable fields. `next_followup_at` alone may also be set by who may follow up."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    if "next_followup_at" in given:
        viewer.must(May.FOLLOW_UP, "Your role may not plan follow-ups.")
    if set(given) != {"next_followup_at"}:
        viewer.must(May.EDIT, "Your role may not change this lead.")
    fields = cleaned(given, settings_of(tx).region or None)
    merged = {**lead._asdict(), **fields}
    if {"first_name", "last_name"} & set(fields) and "name" not in fields:
        merged["name"] = None if merged["first_name"] or merged["last_name"] else lead.name
    if {"first_name", "last_name", "name"} & set(fields):
        fields["name"] = called(merged) if not fields.get("name") else fields["name"]
    for name in ("source", "currency"):
        if name in fields and not fields[name]:
            raise Invalid("This can't be empty.", field=name)
    return change(tx, viewer, lead, shares, fields, lambda changes: LeadEdited(changes=changes))


def move(
    tx: Tx,
    viewer: Viewer,
    lead_id: int,
    to: str,
    *,
    version: int,
    reason: str | None = None,
    firm_name: str | None = None,
    after: int | None = None,
    before: int | None = None,
) -> Done:
    """Move to another status; with `after` and `before` (neighbouring leads) to a place of that column."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    if lead.archived_at is not None:
        raise Conflict("Restore the lead first.", code="archived")
    status = check_move(lead.status, to, viewer.rights, firm_name=firm_name or lead.firm_name, reason=reason)
    columns: dict[str, Any] = {
        "status": status.value,
        "status_at": tx.now,
        "rank": _rank_between(tx, viewer, after, before),
        "lost_reason": reason if status in (Status.LOST, Status.UNQUALIFIED) else None,
    }
    if firm_name:
        columns["firm_name"] = cleaned({"firm_name": firm_name}, None)["firm_name"]
    return change(tx, viewer, lead, shares, columns, lambda changes: LeadMoved(changes=changes))


def place(
    tx: Tx, viewer: Viewer, lead_id: int, *, version: int, after: int | None = None, before: int | None = None
) -> Done:
    """Another place in the same column of the board, between two neighbours."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    viewer.must(May.EDIT, "Your role may not arrange the board.")
    columns = {"rank": _rank_between(tx, viewer, after, before)}
    return change(tx, viewer, lead, shares, columns, lambda changes: LeadPlaced(changes=changes))


def _rank_between(tx: Tx, viewer: Viewer, after: int | None, before: int | None) -> int:
    """A rank after one lead and before another; the top of the column when neither is given or can be seen."""
    above, below = (_rank_of(tx, viewer, neighbour) for neighbour in (after, before))
    if above is not None and below is not None:
        return (above + below) // 2
    if above is not None:
        return above + MINUTE
    return min(-tx.now, below - 1) if below is not None else -tx.now


def _rank_of(tx: Tx, viewer: Viewer, lead_id: int | None) -> int | None:
    found = load(tx, lead_id) if lead_id is not None else None
    return found[0].rank if found and in_reach(tx, viewer, *found) else None


# Whose lead it is ----------------------------------------------------------------------------------------------------------

OWNERS = ("salesperson_id", "warrior_id", "partner_company_id", "support_id")
_ROLE_OF = {"salesperson_id": Role.SALESPERSON, "warrior_id": Role.WARRIOR, "support_id": Role.CUSTOMER_SUCCESS}


def assign(tx: Tx, viewer: Viewer, lead_id: int, given: Mapping[str, int | None], *, version: int) -> Done:
    """Give the lead to a salesperson, warrior, partner company or for support (None: take it away from there).

    Another salesperson's warrior does not come along, unless the call names him.
    """
    people = people_of(tx)
    viewer = viewer.as_of(people)
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    if not given or set(given) - set(OWNERS):
        raise Invalid(
            "Say to whom: salesperson_id, warrior_id, partner_company_id or support_id.", field="salesperson_id"
        )
    viewer.must(May.ASSIGN, "Your role may not assign leads.")
    for name, target in given.items():  # before who may: what is of another company looks like what is not there
        _check_known(name, target, people)
    _check_assigner(viewer, lead, given, people)
    columns: dict[str, Any] = dict(given)
    merged = {**lead._asdict(), **columns}
    if merged["salesperson_id"] is None and columns.get("warrior_id"):
        columns["salesperson_id"] = merged["salesperson_id"] = _salesperson_of(people, columns["warrior_id"])
    if given.get("salesperson_id") and "warrior_id" not in given and _stays_behind(people, lead, given):
        columns["warrior_id"] = merged["warrior_id"] = None
    if all(getattr(lead, name) == target for name, target in columns.items()):
        return Done(lead, shares, None)
    if lead.status == Status.NEW and any(merged[name] for name in OWNERS):
        columns |= {"status": Status.CONTACTED.value, "status_at": tx.now}
    columns["rank"] = -tx.now  # or it would enter the new owner's board below what he has loaded
    owner = columns.get("salesperson_id")
    new_shares = tuple(s for s in shares if s != (owner, "share"))
    done = change(
        tx, viewer, lead, shares, columns, lambda changes: LeadAssigned(changes=changes), new_shares=new_shares
    )
    _notice_owner(tx, viewer, done, f"{viewer.name} gave you {lead.name}", only=given)
    return done


def _stays_behind(people: People, lead: LeadRow, given: Mapping[str, int | None]) -> bool:
    # a warrior stays with his own salesperson: else the old owner would go on seeing the lead through him
    return _salesperson_of(people, lead.warrior_id) not in (None, given["salesperson_id"])


def _check_assigner(viewer: Viewer, lead: LeadRow, given: Mapping[str, int | None], people: People) -> None:
    me, targets = viewer.person_id or 0, set(given.values()) - {None}
    match viewer.rights.assigns:
        case Whom.ANYONE:
            return
        case Whom.OWN_PEOPLE:
            own = people.of_manager(me)
            if lead.salesperson_id is not None and not {lead.salesperson_id, lead.warrior_id} & own:
                raise NotAllowed("This lead belongs to another team.")
            if not set(given) <= {"salesperson_id", "warrior_id"} or not targets <= own:
                raise NotAllowed("A manager assigns to the people of his own team.")
        case Whom.OWN_WARRIORS:
            if lead.salesperson_id != me:
                raise NotAllowed("Only your own leads are yours to assign.")
            if set(given) != {"warrior_id"} or not targets <= people.warriors_of(me):
                raise NotAllowed("A salesperson assigns to his own warriors.")
        case Whom.POOL_TO_SALES:
            if lead.salesperson_id is not None:
                raise NotAllowed("This lead is not in the pool any more.")
            if set(given) != {"salesperson_id"} or not targets:
                raise NotAllowed("From the pool a lead goes to a salesperson.")
        case _:
            raise NotAllowed("Your role may not assign leads.")


def _check_known(name: str, target: int | None, people: People) -> None:
    if target is None:
        return
    if name == "partner_company_id":
        known = target in people.partner_companies
    else:
        person = people.by_id.get(target)
        known = person is not None and person.role == _ROLE_OF[name] and person.state == "active"
    if not known:
        raise Invalid("Unknown reference.", field=name, code="unknown_reference")


def _salesperson_of(people: People, warrior_id: int | None) -> int | None:
    warrior = people.by_id.get(warrior_id or 0)
    return warrior.salesperson_id if warrior else None


def _notice_owner(tx: Tx, viewer: Viewer, done: Done, text: str, only: Iterable[str] = OWNERS) -> None:
    """Tell the new owners, except about what they did themselves. A notice names the lead: it is only for who sees it."""
    people = people_of(tx)
    for name in only:
        owner = people.by_id.get(getattr(done.lead, name) or 0) if name != "partner_company_id" else None
        if owner is None or owner.id == viewer.person_id:
            continue
        if in_reach(tx, Viewer.of(owner, people), done.lead, done.shares):
            fact = Noticed(person=owner.id, about="lead.assigned", text=text)
            record(tx, viewer, fact, lead=done.lead.id, audience={f"u:{owner.id}": 2})


def share(tx: Tx, viewer: Viewer, lead_id: int, salesperson_ids: Iterable[int], *, version: int) -> Done:
    """Share with exactly these salespeople beside the owner; an empty list ends all sharing."""
    people = people_of(tx)
    viewer = viewer.as_of(people)
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    _must_for(viewer, May.SHARE, lead, "share")
    wanted = set(salesperson_ids)
    for person in wanted:
        _check_known("salesperson_id", person, people)
    if lead.salesperson_id in wanted:
        raise Invalid("The owner has the lead already.", field="salesperson_ids")
    kept = {s for s in shares if s[1] != "share"}
    new_shares = tuple(sorted(kept | {(person, "share") for person in wanted}))
    return change(tx, viewer, lead, shares, {}, lambda changes: LeadShared(changes=changes), new_shares=new_shares)


def _must_for(viewer: Viewer, what: May, lead: LeadRow, verb: str) -> None:
    viewer.must(what, f"Your role may not {verb} leads.")
    if what in viewer.rights.own_only and lead.salesperson_id != viewer.person_id:
        raise NotAllowed(f"Only the lead's own salesperson may {verb} it.")


# Away and back -------------------------------------------------------------------------------------------------------------


def archive(tx: Tx, viewer: Viewer, lead_id: int, *, version: int) -> Done:
    """Take the lead off every board and list. Nothing is deleted."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    _must_for(viewer, May.ARCHIVE, lead, "archive")
    if lead.archived_at is not None:
        raise Conflict("The lead is archived already.", code="archived")
    return change(tx, viewer, lead, shares, {"archived_at": tx.now}, lambda changes: LeadArchived(changes=changes))


def restore(tx: Tx, viewer: Viewer, lead_id: int, *, version: int | None) -> Done:
    """Bring an archived lead back to where it was, on top of its column."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, version)
    _must_for(viewer, May.ARCHIVE, lead, "restore")
    if lead.archived_at is None:
        raise Conflict("The lead is not archived.", code="not_archived")
    columns = {"archived_at": None, "rank": -tx.now}
    return change(tx, viewer, lead, shares, columns, lambda changes: LeadRestored(changes=changes))


def log_activity(
    tx: Tx,
    viewer: Viewer,
    lead_id: int,
    activity: str,
    *,
    text: str = "",
    outcome: str | None = None,
    minutes: int | None = None,
    at: int | None = None,
) -> Done:
    """A call, meeting, note or e-mail of ours. Whoever was waiting for an answer has had one, unless it is a note."""
    viewer = viewer.as_of(people_of(tx))
    lead, shares = load_in_reach(tx, viewer, lead_id, None)
    viewer.must(May.NOTE, "Your role may not log activities.")
    if activity not in ACTIVITIES:
        raise Invalid(f"An activity is one of {', '.join(ACTIVITIES)}.", field="kind")
    if activity == "note" and not text.strip():
        raise Invalid("A note needs a text.", field="text")
    answered = {} if activity == "note" else {"waiting_since": None, "unread": 0}

    def fact(changes: dict[str, list[Any]]) -> LeadFact:
        return ActivityLogged(
            changes=changes,
            activity=activity,
            text=text.strip(),
            outcome=outcome,
            minutes=minutes,
            happened_at=at if at is not None else tx.now,
            team=viewer.team,
        )

    return change(tx, viewer, lead, shares, answered, fact, touch=False, always=True)


# Undo ----------------------------------------------------------------------------------------------------------------------

UNDOABLE: dict[str, type[LeadFact]] = {
    LeadEdited.kind: LeadEdited,
    LeadMoved.kind: LeadMoved,
    LeadPlaced.kind: LeadPlaced,
    LeadAssigned.kind: LeadAssigned,
    LeadShared.kind: LeadShared,
    LeadArchived.kind: LeadRestored,
    LeadRestored.kind: LeadArchived,
}
"""Kind of fact → the fact that taking it back is."""


def undo(tx: Tx, viewer: Viewer, number: int) -> Done:
    """Take back one fact about a lead: by who did it, or a manager, within ten minutes, while its version still stands."""
    people = people_of(tx)
    viewer = viewer.as_of(people)
    found = facts_since(tx, number - 1, number) if number > 0 else []
    target = found[0] if found else None
    if target is None or target.lead is None:
        raise NotFound
    lead, shares = load_in_reach(tx, viewer, target.lead, None)
    if target.actor != viewer.person_id or viewer.machine:
        _check_may_undo_for(viewer, target.actor, people)
    fact = target.fact
    if not isinstance(fact, LeadFact) or fact.kind not in UNDOABLE:
        raise Conflict("This can't be undone.", code="not_undoable")
    if tx.now - target.at > UNDO_MINUTES * MINUTE:
        raise Conflict(f"It is more than {UNDO_MINUTES} minutes ago.", code="too_late")
    if lead.version != target.version:
        raise Conflict(f"{lead.name} has changed since.", code="stale", version=lead.version)
    columns = {c: old for c, (old, _) in fact.changes.items() if c != "shared_with"}
    new_shares = shares
    if "shared_with" in fact.changes:
        kept = [s for s in shares if s[1] != "share"]
        new_shares = tuple(sorted([*kept, *((p, "share") for p in fact.changes["shared_with"][0])]))
    back = UNDOABLE[fact.kind]
    return change(
        tx, viewer, lead, shares, columns, lambda changes: back(changes=changes, undoes=number), new_shares=new_shares
    )


def _check_may_undo_for(viewer: Viewer, actor: int | None, people: People) -> None:
    viewer.must(May.UNDO_OTHERS, "Only who did it, or a manager, may undo it.")
    if viewer.role == Role.MANAGER and actor not in people.of_manager(viewer.person_id or 0):
        raise NotAllowed("Only the people of your own team are yours to undo.")
