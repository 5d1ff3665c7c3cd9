"""Everything that can be asked of leads. Viewer first, always; answers are frozen values with the number they were read at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.sql.selectable import FromClause

from ..access.companies import settings_of
from ..access.roles import TELLS_TIMELINE, VIEWS, Role, Status
from ..access.scope import ALL, EVERYTHING, People, Viewer, lead_reach, people_of, team_of_key
from ..errors import Invalid, NotAllowed, NotFound
from ..store.journal import IS, Head, Recorded, read_head, stored_fact
from ..store.statements import prepare
from ..store.tables.leads import lead_access, lead_counts, lead_shares, lead_words, leads
from ..store.tables.spine import journal, journal_audience, journal_body
from ..store.transactions import Rx
from .changes import load
from .fields import LeadRow, Shares, shown, shown_value, words
from .reach import placed, within
from .timeline import line

_FACT = [journal.c[c] for c in ("number", "at", "kind", "actor", "via", "lead_id", "version", "side", "batch")]
EVERY_COLUMN = tuple(s.value for s in Status)


class Lead(NamedTuple):
    row: LeadRow
    shares: Shares


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the id to go on from; None on the last page."""

    items: tuple[Lead, ...]
    after: int | None
    head: Head


@dataclass(frozen=True, slots=True)
class Filter:
    """`statuses` empty: every status. `owner` is a salesperson or warrior. `q`: words of name and firm, or a phone suffix."""

    statuses: tuple[str, ...] = ()
    owner: int | None = None
    source: str | None = None
    q: str = ""
    archived: bool = False
    having: str | None = None
    """A column of an owner that must be filled: one of the three views of the seeds."""


def lead(rx: Rx, viewer: Viewer, lead_id: int) -> Lead:
    """One lead, archived or not. Raises NotFound when absent or out of reach."""
    found = load(rx, lead_id)
    if found is None or not _visible(rx, viewer, *found):
        raise NotFound
    return Lead(*found)


_HAS_KEY = prepare(
    select(lead_access.c.lead_id).where(
        lead_access.c.key == bindparam("key"), lead_access.c.lead_id == bindparam("lead")
    )
)


def _visible(rx: Rx, viewer: Viewer, row: LeadRow, shares: Shares) -> bool:
    if row.archived_at is not None:
        keys = lead_reach(placed(row, settings_of(rx).pool_open, as_if_live=True), shares, people_of(rx))
        return within(viewer.reach, keys)
    return viewer.reach in EVERYTHING or rx.one(_HAS_KEY, key=viewer.reach, lead=row.id) is not None


# Lists ---------------------------------------------------------------------------------------------------------------------


def leads_page(rx: Rx, viewer: Viewer, wanted: Filter, *, limit: int, after: int | None = None) -> Page:
    """Leads in reach, newest first. Raises Invalid for a filter on a field that the view does not show."""
    head = read_head(rx)
    conditions = conditions_for(viewer, wanted)
    if wanted.archived:
        return _archived_page(rx, viewer, conditions, limit, after, head)
    statement = within_reach(viewer, select(leads)).where(*conditions).order_by(leads.c.id.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(leads.c.id < after)
    rows = [LeadRow(*row) for row in rx.all(statement)]
    return _page(rx, rows, limit, head)


def within_reach(viewer: Viewer, statement: Select[Any]) -> Select[Any]:
    """Narrow a select over `leads` to what the viewer sees. The one join that every list, search and export goes through."""
    if viewer.reach in EVERYTHING:
        return statement.where(leads.c.archived_at.is_(None))
    reach: FromClause = lead_access
    return statement.join(reach, and_(lead_access.c.lead_id == leads.c.id, lead_access.c.key == viewer.reach))


def _archived_page(
    rx: Rx, viewer: Viewer, conditions: Sequence[ColumnElement[bool]], limit: int, after: int | None, head: Head
) -> Page:
    # An archived lead has no stored keys: its row decides, so rows are read until a page is full.
    kept: list[LeadRow] = []
    while len(kept) <= limit:
        statement = select(leads).where(leads.c.archived_at.is_not(None), *conditions)
        if after is not None:
            statement = statement.where(leads.c.id < after)
        rows = [LeadRow(*row) for row in rx.all(statement.order_by(leads.c.id.desc()).limit(200))]
        if not rows:
            break
        shares = shares_of(rx, [row.id for row in rows])
        kept += [row for row in rows if _visible(rx, viewer, row, shares.get(row.id, ()))]
        after = rows[-1].id
    return _page(rx, kept, limit, head)


def _page(rx: Rx, rows: list[LeadRow], limit: int, head: Head) -> Page:
    more = len(rows) > limit
    rows = rows[:limit]
    shares = shares_of(rx, [row.id for row in rows])
    items = tuple(Lead(row, shares.get(row.id, ())) for row in rows)
    return Page(items, rows[-1].id if more else None, head)


def conditions_for(viewer: Viewer, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        unknown = set(wanted.statuses) - set(Status)
        if unknown:
            raise Invalid(f"{sorted(unknown)[0]!r} is not a status.", field="status")
        conditions.append(leads.c.status.in_(wanted.statuses))
    if wanted.owner is not None:
        if "salesperson" not in VIEWS[viewer.view]:
            raise Invalid("Your role does not see owners.", field="owner")
        conditions.append(or_(leads.c.salesperson_id == wanted.owner, leads.c.warrior_id == wanted.owner))
    if wanted.source:
        conditions.append(leads.c.source == wanted.source)
    if wanted.having:
        conditions.append(leads.c[wanted.having].is_not(None))
    if wanted.q:
        by_phone = "phone" in VIEWS[viewer.view]
        conditions.append(_matching(wanted.q, by_phone=by_phone))
        if not by_phone:  # nor by a phone number or an address that stands in for a name
            conditions += [leads.c.name.is_distinct_from(c) for c in (leads.c.phone, leads.c.email)]
    return conditions


def _matching(q: str, *, by_phone: bool) -> ColumnElement[bool]:
    """Each word a prefix of some word of name or firm; or, where the view shows phones, digits that the phone ends with."""
    each = [
        exists().where(lead_words.c.lead_id == leads.c.id, lead_words.c.word >= w, lead_words.c.word < w + "\U0010ffff")
        for w in sorted(words(q))
    ]
    either: list[ColumnElement[bool]] = [and_(*each)] if each else []
    digits = "".join(c for c in q if c.isdigit() and c.isascii())
    if by_phone and len(digits) >= 3 and not any(c.isalpha() for c in q):
        suffix = digits[::-1]
        either.append(and_(leads.c.phone_reversed >= suffix, leads.c.phone_reversed < suffix + ":"))
    return or_(*either) if either else leads.c.id == 0


def shares_of(rx: Rx, lead_ids: Sequence[int]) -> dict[int, Shares]:
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for start in range(0, len(lead_ids), 500):
        statement = select(lead_shares).where(lead_shares.c.lead_id.in_(lead_ids[start : start + 500]))
        for lead_id, person, kind in rx.all(statement):
            found[lead_id].append((person, kind))
    return {lead_id: tuple(sorted(rows)) for lead_id, rows in found.items()}


# The board -----------------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """`after`: (rank, id) to go on from; None when the column ends here. `value` in minor units."""

    n: int
    value: int
    items: tuple[Lead, ...]
    after: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Board:
    columns: Mapping[str, Column]
    head: Head


_OF_KEY = prepare(
    select(leads)
    .join(lead_access, lead_access.c.lead_id == leads.c.id)
    .where(
        lead_access.c.key == bindparam("key"),
        lead_access.c.status == bindparam("status"),
        or_(
            lead_access.c.rank > bindparam("rank"),
            and_(lead_access.c.rank == bindparam("rank"), lead_access.c.lead_id > bindparam("id")),
        ),
    )
    .order_by(lead_access.c.rank, lead_access.c.lead_id)
    .limit(bindparam("most"))
)
_OF_ALL = prepare(
    select(leads)
    .where(
        leads.c.archived_at.is_(None),
        leads.c.status == bindparam("status"),
        or_(leads.c.rank > bindparam("rank"), and_(leads.c.rank == bindparam("rank"), leads.c.id > bindparam("id"))),
    )
    .order_by(leads.c.rank, leads.c.id)
    .limit(bindparam("most"))
)
_COUNTS = prepare(
    select(lead_counts.c.status, lead_counts.c.n, lead_counts.c.value).where(lead_counts.c.key == bindparam("key"))
)
TOP = (-(2**62), 0)


def board(rx: Rx, viewer: Viewer, *, limit: int, status: str | None = None, after: tuple[int, int] = TOP) -> Board:
    """The first cards of every column in reach, or the next of one; counts of all."""
    head = read_head(rx)
    numbers = counts(rx, viewer.reach)
    columns = {}
    for column in [status] if status else columns_of(viewer):
        rows = _column(rx, viewer.reach, column, limit + 1, after if status else TOP)
        shown_rows = rows[:limit]
        shares = shares_of(rx, [row.id for row in shown_rows])
        last = shown_rows[-1] if len(rows) > limit else None
        n, value = numbers.get(column, (0, 0))
        items = tuple(Lead(row, shares.get(row.id, ())) for row in shown_rows)
        columns[column] = Column(n, value, items, (last.rank, last.id) if last else None)
    return Board(columns, head)


def columns_of(viewer: Viewer) -> list[str]:
    """The statuses that a viewer's board has: those his role sees, or any for dispatchers of the pool and tickets."""
    if viewer.role == Role.CUSTOMER_SUCCESS:
        return [s.value for s in Status]
    return [s.value for s in Status if s in viewer.rights.sees]


def _column(rx: Rx, key: str, status: str, most: int, after: tuple[int, int]) -> list[LeadRow]:
    rank, last = after
    if key in EVERYTHING:
        rows = rx.all(_OF_ALL, status=status, rank=rank, id=last, most=most)
    else:
        rows = rx.all(_OF_KEY, key=key, status=status, rank=rank, id=last, most=most)
    return [LeadRow(*row) for row in rows]


def counts(rx: Rx, key: str) -> dict[str, tuple[int, int]]:
    """Status → (leads, value in minor units) under a reach key."""
    stored = rx.all(_COUNTS, key=ALL if key in EVERYTHING else key)
    return {status: (n, value) for status, n, value in stored}


def card(lead: Lead, rx: Rx, view: str) -> dict[str, Any]:
    """What a board shows of a lead, within a view."""
    people = people_of(rx)
    out = shown(lead.row, lead.shares, people, view, CARD)
    if "salesperson" in VIEWS[view]:
        out["owner"] = shown_value("salesperson_id", lead.row.salesperson_id or lead.row.warrior_id, people)
    return out


def shown_count(n: int, value: int, view: str) -> dict[str, Any]:
    """A column's count, and its value where the view shows money."""
    return {"n": n, **({"value": shown_value("value", value, NOBODY)} if "value" in VIEWS[view] else {})}


NOBODY = People()
CARD = (
    *("id", "version", "name", "firm_name", "status", "value", "currency", "source", "unread", "last_message"),
    *("last_message_at", "waiting_since", "next_followup_at", "created_at", "rank"),
)


def truths(rx: Rx, wanted: Iterable[tuple[str, int]]) -> tuple[dict[tuple[str, int], Lead], Head]:
    """Of many (reach key, lead): those that the key sees now, in one snapshot. For the tick of the live screens."""
    pairs = set(wanted)
    ids = sorted({lead_id for _, lead_id in pairs})
    rows: dict[int, LeadRow] = {}
    keys: set[tuple[str, int]] = set()
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        for raw in rx.all(select(leads).where(leads.c.id.in_(chunk), leads.c.archived_at.is_(None))):
            rows[raw[0]] = LeadRow(*raw)
        keys.update(
            (key, lead_id)
            for key, lead_id in rx.all(
                select(lead_access.c.key, lead_access.c.lead_id).where(lead_access.c.lead_id.in_(chunk))
            )
        )
    shares = shares_of(rx, list(rows))
    seen = {
        (key, lead_id): Lead(rows[lead_id], shares.get(lead_id, ()))
        for key, lead_id in pairs
        if lead_id in rows and (key in EVERYTHING or (key, lead_id) in keys)
    }
    return seen, read_head(rx)


# The feed ------------------------------------------------------------------------------------------------------------------

_NEWEST = prepare(
    select(*_FACT, journal_body.c.body)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal.c.side >= IS)
    .order_by(journal.c.number.desc())
    .limit(bindparam("most"))
)
_NEWEST_OF_KEY = prepare(
    select(*_FACT, journal_body.c.body)
    .join(journal_audience, journal_audience.c.number == journal.c.number)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal_audience.c.key == bindparam("key"), journal_audience.c.side >= IS)
    .order_by(journal_audience.c.number.desc())
    .limit(bindparam("most"))
)


def recent_facts(rx: Rx, key: str, most: int) -> list[Recorded]:
    """The newest facts that a key was told, newest first, each with its lead's row, for leads that the key sees now."""
    rows = rx.all(_NEWEST, most=most) if key in EVERYTHING else rx.all(_NEWEST_OF_KEY, key=key, most=most)
    facts = [stored_fact(row, {}) for row in rows]
    seen, _ = truths(rx, {(key, f.lead) for f in facts if f.lead is not None})
    for recorded in facts:
        recorded.row = seen.get((key, recorded.lead or 0))
    return [f for f in facts if f.row is not None]


# The timeline --------------------------------------------------------------------------------------------------------------

_TIMELINE = prepare(
    select(*_FACT, journal_body.c.body)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal.c.lead_id == bindparam("lead"), journal.c.number < bindparam("before"))
    .order_by(journal.c.number.desc())
    .limit(bindparam("most"))
)
NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Timeline:
    items: tuple[dict[str, Any], ...]
    before: int | None
    head: Head


def timeline(rx: Rx, viewer: Viewer, lead_id: int, *, limit: int, before: int = NEWEST) -> Timeline:
    """What happened to a lead, newest first, by current access: who sees the lead now sees its past, within his view."""
    lead(rx, viewer, lead_id)
    if viewer.view not in TELLS_TIMELINE:
        raise NotAllowed("Your role does not read timelines.")
    people = people_of(rx)
    team = team_of_key(viewer.reach, people)
    head = read_head(rx)
    items: list[dict[str, Any]] = []
    while True:
        rows = rx.all(_TIMELINE, lead=lead_id, before=before, most=limit)
        for row in rows:
            before = row[0]
            told = line(stored_fact(row, {}), people, viewer.view, team)
            if told is not None:
                items.append(told)
            if len(items) == limit:
                return Timeline(tuple(items), before, head)
        if len(rows) < limit:
            return Timeline(tuple(items), None, head)
