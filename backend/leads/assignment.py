"""Who should own a new lead, and why: every candidate with his load."""

from typing import NamedTuple

from sqlalchemy import func, select

from ..access.companies import FEWEST, settings_of
from ..access.roles import OPEN
from ..access.scope import people_of
from ..store.statements import prepare
from ..store.tables.leads import lead_counts
from ..store.transactions import Rx, Tx
from .reach import OWNER, Reach


class Choice(NamedTuple):
    """`salesperson_id` None: the pool. `loads` are the candidates' open leads."""

    salesperson_id: int | None
    loads: dict[int, int]
    reason: str


_LOADS = prepare(
    select(lead_counts.c.key, func.sum(lead_counts.c.n))
    .where(
        lead_counts.c.key >= OWNER,
        lead_counts.c.key < OWNER + "~",
        lead_counts.c.status.in_([s.value for s in OPEN]),
    )
    .group_by(lead_counts.c.key)
)


def loads(rx: Rx) -> dict[int, int]:
    """Open leads per salesperson, as of this snapshot; within a transaction, what it owes included."""
    if not isinstance(rx, Tx):
        return _stored_loads(rx)
    ledger = rx.owes(Reach)
    if ledger.loads is None:  # counts are written at the commit, so what is stored stays the same until then
        ledger.loads = _stored_loads(rx)
    now = dict(ledger.loads)
    for person, change in ledger.load_changes.items():
        now[person] = now.get(person, 0) + change
    return now


def _stored_loads(rx: Rx) -> dict[int, int]:
    return {int(key.removeprefix(OWNER)): int(n) for key, n in rx.all(_LOADS)}


def choose(tx: Tx) -> Choice:
    """By the company's inbound rule: the active salesperson with the fewest open leads (the longest there on a tie), or the pool."""
    if settings_of(tx).inbound != FEWEST:
        return Choice(None, {}, "New leads stay in the pool of this company.")
    now = loads(tx)
    candidates = {person: now.get(person, 0) for person in people_of(tx).salespeople}
    if not candidates:
        return Choice(None, {}, "There is no active salesperson.")
    chosen = min(candidates, key=candidates.__getitem__)  # the first of several: who is there the longest
    return Choice(chosen, candidates, f"Fewest open leads ({candidates[chosen]}).")
