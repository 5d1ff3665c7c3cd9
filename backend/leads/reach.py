"""Keeps `lead_access` and `lead_counts` equal to `lead_reach`, in the lead's own transaction; and the verifier that proves it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select

from ..access.companies import settings_of
from ..access.roles import OPEN
from ..access.scope import EVERYTHING, Placed, Viewer, lead_reach, people_of
from ..store.journal import IS, WAS
from ..store.statements import prepare, upsert
from ..store.tables.leads import lead_access, lead_counts, lead_shares, leads
from ..store.transactions import Rx, Tx
from .fields import LeadRow, Shares

IS_OPEN = frozenset(OPEN)
OWNER = "owner:"
"""Prefix of the count keys that hold a salesperson's own load; nobody's reach key."""


class Standing(NamedTuple):
    """What access and counts say of a lead."""

    keys: frozenset[str]
    status: str
    rank: int
    value: int
    owner: int | None
    live: bool

    def counted_under(self) -> Iterator[str]:
        if self.live:
            yield "all"
            yield from self.keys
            if self.owner is not None:
                yield f"{OWNER}{self.owner}"


NOWHERE = Standing(frozenset(), "", 0, 0, None, False)


class Moved(NamedTuple):
    """How a fact about a lead is heard: the side of every key, and the side of the keys that see everything."""

    audience: dict[str, int]
    side: int


_KEYS = prepare(select(lead_access.c.key).where(lead_access.c.lead_id == bindparam("lead")))
_GONE = prepare(
    delete(lead_access).where(lead_access.c.key == bindparam("key"), lead_access.c.lead_id == bindparam("lead_id"))
)
_SEEN = upsert(lead_access, put=("status", "rank"))
_COUNT = upsert(lead_counts, add=("n", "value"))


class Reach:
    """The access and count rows that a transaction owes: where each lead stood when it began, and where it stands now."""

    order = 10

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.before: dict[int, Standing] = {}
        self.now: dict[int, Standing] = {}
        self.loads: dict[int, int] | None = None
        """Open leads per salesperson as stored, once somebody has asked (`assignment.loads`)."""
        self.load_changes: dict[int, int] = defaultdict(int)
        """Open leads per salesperson that are owed to the counts and not yet in them."""
        self._log: list[tuple[int, Standing | None]] = []

    def mark(self) -> int:
        return len(self._log)

    def reset(self, mark: int) -> None:
        while len(self._log) > mark:
            lead_id, standing = self._log.pop()
            self._count_load(self.now[lead_id], -1)
            self._count_load(standing or self.before[lead_id], 1)
            if standing is None:
                del self.now[lead_id], self.before[lead_id]
            else:
                self.now[lead_id] = standing

    def standing(self, lead_id: int, row: LeadRow | None) -> Standing:
        """Where the lead stands in this transaction. The old side is always what is *stored*, never computed again:

        between a person's move and the re-keying of his leads the two differ, and the difference would leak.
        """
        if lead_id in self.now:
            return self.now[lead_id]
        if row is None:
            return NOWHERE
        keys = frozenset(key for (key,) in self.tx.all(_KEYS, lead=lead_id))
        return stand(row, keys)

    def put(self, lead_id: int, old: Standing, new: Standing) -> None:
        self._log.append((lead_id, self.now.get(lead_id)))
        self.before.setdefault(lead_id, old)
        self._count_load(self.now.get(lead_id, old), -1)
        self._count_load(new, 1)
        self.now[lead_id] = new

    def _count_load(self, standing: Standing, by: int) -> None:
        if standing.live and standing.owner is not None and standing.status in IS_OPEN:
            self.load_changes[standing.owner] += by

    def flush(self) -> None:
        gone, seen = [], []
        counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for lead_id, new in self.now.items():
            old = self.before[lead_id]
            if old == new:
                continue
            gone += [{"key": k, "lead_id": lead_id} for k in old.keys - new.keys]
            changed = (old.status, old.rank) != (new.status, new.rank)
            seen += [
                {"key": k, "lead_id": lead_id, "status": new.status, "rank": new.rank}
                for k in (new.keys if changed else new.keys - old.keys)
            ]
            for standing, sign in ((old, -1), (new, 1)):
                for key in standing.counted_under():
                    count = counts[key, standing.status]
                    count[0] += sign
                    count[1] += sign * standing.value
        # in the order of the keys, so that two processes can't wait for each other crosswise
        if gone:
            self.tx.many(_GONE, sorted(gone, key=_place))
        if seen:
            self.tx.many(_SEEN, sorted(seen, key=_place))
        owed = [
            {"key": key, "status": status, "n": n, "value": value}
            for (key, status), (n, value) in sorted(counts.items())
            if n or value
        ]
        if owed:
            self.tx.many(_COUNT, owed)


def _place(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["key"], row["lead_id"]


def stand(row: LeadRow, keys: frozenset[str]) -> Standing:
    return Standing(keys, row.status, row.rank, row.value or 0, row.salesperson_id, row.archived_at is None)


def placed(row: LeadRow, pool_open: bool, *, as_if_live: bool = False) -> Placed:
    return Placed(
        row.status,
        row.salesperson_id,
        row.warrior_id,
        row.partner_company_id,
        row.support_id,
        row.archived_at is not None and not as_if_live,
        pool_open,
    )


def settle(
    tx: Tx,
    before: LeadRow | None,
    after: LeadRow,
    shares: Shares,
    keep: frozenset[str] | None = None,
    *,
    same_place: bool = False,
) -> Moved:
    """Owe the access and counts that `after` has, and say who hears of the change.

    `keep` narrows the new keys to some: a move in the hierarchy first only takes away. `same_place`: nothing changed that
    decides who sees the lead, so whoever sees it goes on seeing it.
    """
    ledger = tx.owes(Reach)
    old = ledger.standing(after.id, before)
    keys = old.keys if same_place else lead_reach(placed(after, settings_of(tx).pool_open), shares, people_of(tx))
    if keep is not None:
        keys &= keep
    new = stand(after, keys)
    ledger.put(after.id, old, new)
    audience = {key: (WAS if key in old.keys else 0) | (IS if key in keys else 0) for key in old.keys | keys}
    return Moved(audience, (WAS if old.live else 0) | (IS if new.live else 0))


DECIDING = frozenset(
    {"status", "salesperson_id", "warrior_id", "partner_company_id", "support_id", "archived_at", "shared_with"}
)
"""What of a lead decides who sees it."""


def in_reach(tx: Tx, viewer: Viewer, lead: LeadRow, shares: Shares) -> bool:
    """May the viewer see the lead, as of this point of the transaction? An archived lead: could he, were it not archived."""
    if lead.archived_at is not None:
        return within(
            viewer.reach, lead_reach(placed(lead, settings_of(tx).pool_open, as_if_live=True), shares, people_of(tx))
        )
    return within(viewer.reach, tx.owes(Reach).standing(lead.id, lead).keys)


def within(key: str, keys: frozenset[str]) -> bool:
    return key in EVERYTHING or (key != "" and key in keys)


# The verifier --------------------------------------------------------------------------------------------------------------

_LEADS = prepare(select(leads))
_SHARES = prepare(select(lead_shares))
_ACCESS = prepare(select(lead_access))
_COUNTS = prepare(select(lead_counts))


def check(rx: Rx) -> list[str]:
    """Recompute access and counts of every lead from the base tables; every difference, in words."""
    people, is_open = people_of(rx), settings_of(rx).pool_open
    shares: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for lead_id, person, kind in rx.all(_SHARES):
        shares[lead_id].append((person, kind))
    access: dict[int, dict[str, tuple[str, int]]] = defaultdict(dict)
    for key, lead_id, status, rank in rx.all(_ACCESS):
        access[lead_id][key] = status, rank
    found: list[str] = []
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for raw in rx.all(_LEADS):
        row = LeadRow(*raw)
        standing = stand(row, lead_reach(placed(row, is_open), shares[row.id], people))
        expected = dict.fromkeys(standing.keys, (row.status, row.rank))
        if (stored := access.pop(row.id, {})) != expected:
            found.append(f"lead {row.id}: access is {_words(stored)}, should be {_words(expected)}")
        for key in standing.counted_under():
            counts[key, row.status][0] += 1
            counts[key, row.status][1] += standing.value
    found += [f"lead {lead_id}: access rows without a lead" for lead_id in access]
    return found + _check_counts(rx, {k: (n, v) for k, (n, v) in counts.items()})


def _check_counts(rx: Rx, expected: dict[tuple[str, str], tuple[int, int]]) -> list[str]:
    stored = {(key, status): (n, value) for key, status, n, value in rx.all(_COUNTS) if n or value}
    return [
        f"count of {key}, {status}: {stored.get((key, status), (0, 0))}, should be {expected.get((key, status), (0, 0))}"
        for key, status in sorted(stored.keys() | expected.keys())
        if stored.get((key, status), (0, 0)) != expected.get((key, status), (0, 0))
    ]


def _words(access: dict[str, tuple[str, int]] | Iterable[str]) -> str:
    return ", ".join(sorted(access)) or "nothing"
