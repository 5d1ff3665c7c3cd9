"""The one way a lead's row comes about and changes: row, words, identities, reach, counts and fact, always together."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from ..access.scope import Viewer
from ..errors import NotFound, Stale
from ..events import Changes, LeadFact
from ..store.journal import Recorded, record
from ..store.statements import Statement, insert_into, prepare
from ..store.tables.leads import identities, lead_shares, lead_words, leads
from ..store.transactions import Rx, Tx
from .fields import LeadRow, Shares, words
from .reach import DECIDING, in_reach, settle


class Done(NamedTuple):
    """What an action on a lead did. `fact` is None when there was nothing to change; its number is known after the commit."""

    lead: LeadRow
    shares: Shares
    fact: Recorded | None


_LEAD = prepare(select(leads).where(leads.c.id == bindparam("id")))
_SHARES = prepare(
    select(lead_shares.c.person_id, lead_shares.c.kind)
    .where(lead_shares.c.lead_id == bindparam("lead"))
    .order_by(lead_shares.c.person_id, lead_shares.c.kind)
)
_ADD = insert_into(leads)
_SHARE = insert_into(lead_shares)
_UNSHARE = prepare(delete(lead_shares).where(lead_shares.c.lead_id == bindparam("lead")))
_WORDS = insert_into(lead_words, ignore=True)
_FORGET_WORDS = prepare(delete(lead_words).where(lead_words.c.lead_id == bindparam("lead")))
_KNOWN_AS = insert_into(identities, ignore=True)
_NOT_KNOWN_AS = prepare(
    delete(identities).where(
        identities.c.kind == bindparam("kind"),
        identities.c.value == bindparam("value"),
        identities.c.lead_id == bindparam("lead"),
    )
)


def load(rx: Rx, lead_id: int) -> tuple[LeadRow, Shares] | None:
    """The stored row and its shares, whoever asks: for rules and machines. People ask through `load_in_reach`."""
    row = rx.one(_LEAD, id=lead_id)
    return (LeadRow(*row), tuple(rx.all(_SHARES, lead=lead_id))) if row else None


def load_in_reach(tx: Tx, viewer: Viewer, lead_id: int, version: int | None) -> tuple[LeadRow, Shares]:
    """The lead as a write sees it. Raises NotFound when it is absent or out of reach, Stale when it is no longer `version`."""
    found = load(tx, lead_id)
    if found is None or not in_reach(tx, viewer, *found):
        raise NotFound
    lead = found[0]
    if version is not None and lead.version != version:
        raise Stale(f"{lead.name} has changed since you looked.", version=lead.version)
    return found


def create(tx: Tx, viewer: Viewer, row: LeadRow, fact: LeadFact, known_as: tuple[tuple[str, str], ...] = ()) -> Done:
    """Write a new lead; `known_as` are identities (kind, value) that are its own unless another lead has them already."""
    tx.run(_ADD, **row._asdict())
    tx.owes(Words).rows.append((row, True))
    if known_as:
        tx.many(_KNOWN_AS, [{"kind": k, "value": v, "lead_id": row.id} for k, v in dict.fromkeys(known_as)])
    moved = settle(tx, None, row, ())
    recorded = record(
        tx, viewer, fact, lead=row.id, version=row.version, side=moved.side, audience=moved.audience, row=(row, ())
    )
    return Done(row, (), recorded)


def change(
    tx: Tx,
    viewer: Viewer,
    before: LeadRow,
    shares: Shares,
    columns: Mapping[str, Any],
    fact: Callable[[Changes], LeadFact],
    *,
    new_shares: Shares | None = None,
    touch: bool = True,
    always: bool = False,
    batch: int | None = None,
) -> Done:
    """Change columns (and shares) of a lead and record `fact(changes)`; nothing at all when nothing differs (unless `always`).

    `touch` False leaves version and updated_at alone: a message of the customer must not make a colleague's edit stale.
    """
    changes: Changes = {c: [getattr(before, c), v] for c, v in columns.items() if getattr(before, c) != v}
    after_shares = shares if new_shares is None else new_shares
    if after_shares != shares:
        changes["shared_with"] = [_people(shares), _people(after_shares)]
    if not changes and not always:
        return Done(before, shares, None)
    after = before._replace(**{c: new for c, (_, new) in changes.items() if c != "shared_with"})
    if touch:
        by = viewer.person_id
        after = after._replace(
            version=before.version + 1, updated_at=tx.now, updated_by=by, updated_via=None if by else viewer.name
        )
    _write(tx, before, after)
    if after_shares != shares:
        _write_shares(tx, before.id, after_shares)
    moved = settle(tx, before, after, after_shares, same_place=DECIDING.isdisjoint(changes))
    recorded = record(
        tx,
        viewer,
        fact(changes),
        lead=after.id,
        version=after.version,
        side=moved.side,
        audience=moved.audience,
        batch=batch,
        row=(after, after_shares),
    )
    return Done(after, after_shares, recorded)


def _write(tx: Tx, before: LeadRow, after: LeadRow) -> None:
    differing = tuple(c for c, old, new in zip(LeadRow._fields, before, after, strict=True) if old != new)
    if not differing:
        return
    tx.run(_update(differing), b_id=after.id, **{c: getattr(after, c) for c in differing})
    if {"name", "firm_name"} & set(differing):
        tx.owes(Words).rows.append((after, False))
    if "phone_reversed" in differing:
        if before.phone_reversed:
            tx.run(_NOT_KNOWN_AS, kind="phone", value=before.phone_reversed[::-1], lead=after.id)
        if after.phone and after.phone.startswith("+") and after.phone_reversed:
            know(tx, after.id, "phone", after.phone_reversed[::-1])


@lru_cache(256)
def _update(columns: tuple[str, ...]) -> Statement:
    return prepare(
        update(leads).where(leads.c.id == bindparam("b_id")).values({c: bindparam(c) for c in columns}),
    )


class Words:
    """The words of leads that a transaction owes to the search; the last name given counts."""

    order = 40

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.rows: list[tuple[LeadRow, bool]] = []

    def mark(self) -> int:
        return len(self.rows)

    def reset(self, mark: int) -> None:
        del self.rows[mark:]

    def flush(self) -> None:
        last = {row.id: row for row, _ in self.rows}
        known = {row.id for row, is_new in self.rows if not is_new}
        if known:
            self.tx.many(_FORGET_WORDS, [{"lead": lead_id} for lead_id in sorted(known)])
        found = [
            {"word": word, "lead_id": row.id}
            for row in last.values()
            for word in words(row.name) | words(row.firm_name or "")
        ]
        self.tx.many(_WORDS, sorted(found, key=lambda w: (w["word"], w["lead_id"])))


def _write_shares(tx: Tx, lead_id: int, shares: Shares) -> None:
    tx.run(_UNSHARE, lead=lead_id)
    if shares:
        tx.many(_SHARE, [{"lead_id": lead_id, "person_id": p, "kind": kind} for p, kind in shares])


def know(tx: Tx, lead_id: int, kind: str, value: str) -> None:
    """The lead is known by this identity from now on, unless another one is already."""
    tx.run(_KNOWN_AS, kind=kind, value=value, lead_id=lead_id)


def _people(shares: Shares) -> list[int]:
    return [person for person, kind in shares if kind == "share"]
