"""The journal: `record()` is the only writer of facts. Nothing here is ever updated or deleted; triggers refuse both.

A transaction numbers its facts once, at its commit, so that the order of the numbers is the order of the commits, without gaps.
Each fact's digest covers what it says and, salted, its body; once a second a seal chains the digests.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson
from sqlalchemy import bindparam, delete, select, update

from ..events import Fact
from .statements import insert_into, prepare, upsert
from .tables.spine import head, journal, journal_audience, journal_body, journal_seal, settings
from .transactions import Rx, Tx

WAS, IS = 1, 2
"""Bits of a side: the key saw the subject before the fact, sees it after."""


class Actor(Protocol):
    """Who did it: a person, or a machine (`person_id` None) known by its name."""

    @property
    def person_id(self) -> int | None: ...
    @property
    def name(self) -> str: ...


class Head(NamedTuple):
    epoch: str
    number: int
    people_version: int

    @property
    def cursor(self) -> str:
        return f"{self.epoch}.{self.number}"


@dataclass(slots=True)
class Recorded:
    """A fact on its way into the journal, and, once committed, in it. `number` is 0 until the commit.

    `audience` maps reach keys to sides; `side` is that of the keys that see everything. `row` is the subject as the action
    left it, for streams that serve it at once; it is not stored.
    """

    fact: Fact
    at: int
    actor: int | None
    via: str | None
    lead: int | None
    version: int | None
    side: int
    audience: Mapping[str, int]
    batch: int | None = None
    row: Any = None
    number: int = 0


_HEAD = prepare(select(head.c.epoch, head.c.number, head.c.people_version).where(head.c.id == 1))
_ADVANCE = prepare(update(head).where(head.c.id == 1).values(number=bindparam("to")))
_PEOPLE_CHANGED = prepare(update(head).where(head.c.id == 1).values(people_version=head.c.people_version + 1))
_FACT = insert_into(journal)
_BODY = insert_into(journal_body)
_AUDIENCE = insert_into(journal_audience)


def read_head(rx: Rx) -> Head:
    row = rx.one(_HEAD)
    if row is None:
        raise LookupError(f"{rx.store.name} has no head; the database was not created by this program")
    return Head(*row)


_BEGIN = insert_into(head, ignore=True)
_NEW_EPOCH = prepare(update(head).where(head.c.id == 1).values(epoch=bindparam("to")))


def begin(tx: Tx) -> None:
    """The first row of `head`; again, it changes nothing."""
    tx.run(_BEGIN, id=1, epoch=new_epoch(), number=0, people_version=1)


def rotate_epoch(tx: Tx) -> str:
    """A new epoch: every cursor that clients hold is void. Only for a restored database, which would use its numbers again."""
    epoch = new_epoch()
    tx.run(_NEW_EPOCH, to=epoch)
    return epoch


def new_epoch() -> str:
    return os.urandom(4).hex()


def people_version(rx: Rx) -> int:
    """The version of people and settings: what is remembered of them is remembered under it."""
    if not isinstance(rx, Tx):
        return read_head(rx).people_version
    if rx.people_version is None:
        rx.people_version = read_head(rx).people_version
    return rx.people_version


def people_changed(tx: Tx) -> None:
    """People or settings are other ones from here on: whoever remembers them must read them again."""
    tx.run(_PEOPLE_CHANGED)
    tx.people_version = None
    tx.people_changed = True


class Journal:
    """The facts that a transaction owes."""

    order = 90

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.facts: list[Recorded] = []

    def mark(self) -> int:
        return len(self.facts)

    def reset(self, mark: int) -> None:
        del self.facts[mark:]

    def flush(self) -> None:
        tx, facts = self.tx, self.facts
        number = read_head(tx).number
        rows, bodies, audience = [], [], []
        for recorded in facts:
            number += 1
            recorded.number = number
            salt, body = os.urandom(16), orjson.dumps(recorded.fact.body())
            row = {
                "number": number,
                "at": recorded.at,
                "kind": recorded.fact.kind,
                "actor": recorded.actor,
                "via": recorded.via,
                "lead_id": recorded.lead,
                "version": recorded.version,
                "side": recorded.side,
                "batch": recorded.batch,
            }
            of_body = salted(salt, body)
            rows.append({**row, "body_digest": of_body, "digest": digest(tuple(row.values()), of_body)})
            bodies.append({"number": number, "salt": salt, "body": body})
            audience += [{"key": k, "number": number, "side": s} for k, s in recorded.audience.items()]
        tx.many(_FACT, rows)
        tx.many(_BODY, bodies)
        if audience:
            audience.sort(key=lambda a: (a["key"], a["number"]))
            tx.many(_AUDIENCE, audience)
        tx.run(_ADVANCE, to=number)


def record(
    tx: Tx,
    actor: Actor,
    fact: Fact,
    *,
    lead: int | None = None,
    version: int | None = None,
    side: int = 0,
    audience: Mapping[str, int] | None = None,
    batch: int | None = None,
    row: Any = None,
) -> Recorded:
    """Owe a fact to the journal. Its number is known once the transaction has committed."""
    recorded = Recorded(
        fact=fact,
        at=tx.now,
        actor=actor.person_id,
        via=None if actor.person_id is not None else actor.name,
        lead=lead,
        version=version,
        side=side,
        audience=audience or {},
        batch=batch,
        row=row,
    )
    tx.owes(Journal).facts.append(recorded)
    return recorded


def salted(salt: bytes, body: bytes) -> bytes:
    """SHA-256 of a body with its salt: what stays of it when it is erased, and tells nothing."""
    return hashlib.sha256(salt + body).digest()


def digest(header: tuple[Any, ...], body_digest: bytes) -> bytes:
    """SHA-256 over a fact's header and the salted digest of its body."""
    return hashlib.sha256(orjson.dumps(header) + body_digest).digest()


# Reading -------------------------------------------------------------------------------------------------------------------

_COLUMNS = (
    journal.c.number,
    journal.c.at,
    journal.c.kind,
    journal.c.actor,
    journal.c.via,
    journal.c.lead_id,
    journal.c.version,
    journal.c.side,
    journal.c.batch,
)
_SINCE = prepare(
    select(*_COLUMNS, journal_body.c.body)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal.c.number > bindparam("after"), journal.c.number <= bindparam("to"))
    .order_by(journal.c.number)
    .limit(bindparam("most"))
)
_AUDIENCE_SINCE = prepare(
    select(journal_audience.c.number, journal_audience.c.key, journal_audience.c.side).where(
        journal_audience.c.number > bindparam("after"), journal_audience.c.number <= bindparam("to")
    )
)


def stored_fact(row: tuple[Any, ...], audience: Mapping[str, int]) -> Recorded:
    """A row of `journal` with its body, as it was recorded. An erased body leaves the fact's kind and subject alone."""
    number, at, kind, actor, via, lead, version, side, batch, body = row
    fact = Fact.stored(kind, orjson.loads(body) if body is not None else None)
    return Recorded(fact, at, actor, via, lead, version, side, audience, batch, None, number)


def facts_since(rx: Rx, after: int, to: int, most: int = 1000) -> list[Recorded]:
    """Facts `after < number <= to` in order, with their audience as far as it is still kept."""
    rows = rx.all(_SINCE, after=after, to=to, most=most)
    if not rows:
        return []
    audience: dict[int, dict[str, int]] = {}
    for number, key, side in rx.all(_AUDIENCE_SINCE, after=after, to=rows[-1][0]):
        audience.setdefault(number, {})[key] = side
    return [stored_fact(row, audience.get(row[0], {})) for row in rows]


_TRIMMED = prepare(select(settings.c.value).where(settings.c.name == "audience_from"))
_SET_TRIMMED = upsert(settings, put=("value",))
_TRIM = prepare(delete(journal_audience).where(journal_audience.c.number < bindparam("below")))
_FIRST_AT = prepare(select(journal.c.number).where(journal.c.at >= bindparam("at")).order_by(journal.c.number).limit(1))


def audience_from(rx: Rx) -> int:
    """The first number whose audience is still kept: a cursor before it can't be resumed."""
    return int(rx.value(_TRIMMED) or 1)


def trim_audience(tx: Tx, older_than: int) -> int:
    """Forget the audience of facts before `older_than` (microseconds). The facts themselves stay for ever."""
    first = tx.value(_FIRST_AT, at=older_than) or read_head(tx).number + 1
    if first <= audience_from(tx):
        return 0
    tx.run(_SET_TRIMMED, name="audience_from", value=str(first))
    return tx.run(_TRIM, below=first)


# The seal ------------------------------------------------------------------------------------------------------------------

_LAST_SEAL = prepare(select(journal_seal.c.number, journal_seal.c.link).order_by(journal_seal.c.number.desc()).limit(1))
_DIGESTS = prepare(
    select(journal.c.number, journal.c.digest)
    .where(journal.c.number > bindparam("after"), journal.c.number <= bindparam("to"))
    .order_by(journal.c.number)
)
_SEAL = insert_into(journal_seal)
SEAL_PAGE = 5_000


def seal(tx: Tx) -> int:
    """Chain the facts since the last link, at most `SEAL_PAGE` of them; the number sealed."""
    number, link = tx.one(_LAST_SEAL) or (0, b"")
    rows = tx.all(_DIGESTS, after=number, to=number + SEAL_PAGE)
    if not rows:
        return 0
    tx.run(_SEAL, number=rows[-1][0], at=tx.now, link=chained(link, (d for _, d in rows)))
    return len(rows)


def chained(link: bytes, digests: Iterable[bytes]) -> bytes:
    h = hashlib.sha256(link)
    for d in digests:
        h.update(d)
    return h.digest()


_ALL = prepare(
    select(*_COLUMNS, journal.c.body_digest, journal.c.digest, journal_body.c.salt, journal_body.c.body)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal.c.number > bindparam("after"))
    .order_by(journal.c.number)
    .limit(bindparam("most"))
)
_SEALS = prepare(select(journal_seal.c.number, journal_seal.c.link).order_by(journal_seal.c.number))


def check(rx: Rx) -> list[str]:
    """Every break of the journal, in words that name its position; empty when it is whole."""
    found: list[str] = []
    expected, link, after = 1, b"", 0
    seals = iter(rx.all(_SEALS))
    pending = next(seals, None)
    digests: list[bytes] = []
    while rows := rx.all(_ALL, after=after, most=2_000):
        for *header, of_body, kept, salt, body in rows:
            number = header[0]
            if number != expected:
                found.append(f"facts {expected} to {number - 1} are missing")
            if digest(tuple(header), of_body) != kept or (body is not None and salted(salt, body) != of_body):
                found.append(f"fact {number} was altered")
            while pending and number > pending[0]:
                if chained(link, digests) != pending[1]:
                    found.append(f"the seal of fact {pending[0]} does not hold")
                link, digests, pending = pending[1], [], next(seals, None)
            digests.append(kept)
            expected = number + 1
        after = rows[-1][0]
    if pending and pending[0] >= expected:
        found.append(f"facts after {expected - 1} are missing: fact {pending[0]} was sealed")
    elif pending and chained(link, digests) != pending[1]:
        found.append(f"the seal of fact {pending[0]} does not hold")
    if (number := read_head(rx).number) != expected - 1:
        found.append(f"the journal ends at {expected - 1}, its head says {number}")
    return found
