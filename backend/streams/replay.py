"""Between a client's cursor and now: what its keys were told, in order, rows as they are now."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select

from ..access.scope import EVERYTHING, Viewer, people_of
from ..errors import NotAllowed
from ..events import RightsChanged
from ..leads.queries import truths
from ..store.journal import Head, Recorded, audience_from, read_head, stored_fact
from ..store.statements import prepare
from ..store.tables.spine import journal, journal_audience, journal_body
from ..store.transactions import Rx
from .frames import Encoder, Frame, Room, side_for

log = logging.getLogger(__name__)

MOST = 500
"""Facts that a replay sends; a client further behind fetches again."""


class Cursor(NamedTuple):
    epoch: str
    number: int

    @classmethod
    def read(cls, text: str) -> "Cursor | None":
        epoch, dot, number = text.partition(".")
        good = dot and len(epoch) == 8 and number.isascii() and number.isdigit() and len(number) < 19
        return cls(epoch, int(number)) if good else None


@dataclass(frozen=True, slots=True)
class Replay:
    """Frames to send before the live ones, or the reason why the client must fetch again.

    `viewer` is who asked, with the rights that he has in this snapshot; None: nobody that may see anything.
    """

    head: Head
    viewer: Viewer | None
    frames: tuple[Frame, ...] = ()
    reset: str | None = None


_FACT = [journal.c[c] for c in ("number", "at", "kind", "actor", "via", "lead_id", "version", "side", "batch")]
_HEARD = prepare(
    select(*_FACT, journal_body.c.body, journal_audience.c.side)
    .join(journal, journal.c.number == journal_audience.c.number)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(journal_audience.c.key == bindparam("key"), journal_audience.c.number > bindparam("after"))
    .order_by(journal_audience.c.number)
    .limit(MOST + 1)
)
_HEARD_BY_ALL = prepare(
    select(*_FACT, journal_body.c.body)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(
        journal.c.number > bindparam("after"),
        or_(
            journal.c.side > 0,
            journal.c.number.in_(
                select(journal_audience.c.number).where(
                    journal_audience.c.key == bindparam("personal"), journal_audience.c.number > bindparam("after")
                )
            ),
        ),
    )
    .order_by(journal.c.number)
    .limit(MOST + 1)
)
_PERSONAL = prepare(
    select(journal_audience.c.number).where(
        journal_audience.c.key == bindparam("personal"), journal_audience.c.number > bindparam("after")
    )
)
_RIGHTS = prepare(
    select(func.count())
    .select_from(journal_audience)
    .join(journal, journal.c.number == journal_audience.c.number)
    .where(
        journal_audience.c.key == bindparam("personal"),
        journal_audience.c.number > bindparam("after"),
        journal.c.kind == RightsChanged.kind,
    )
)


def replay(rx: Rx, asking: Viewer, cursor: str | None) -> Replay:
    """What to send a stream that opens at `cursor` (None: from now on)."""
    head = read_head(rx)
    try:
        viewer = asking.as_of(people_of(rx))
    except NotAllowed:
        return Replay(head, None)
    if cursor is None:
        return Replay(head, viewer)
    at = Cursor.read(cursor)
    reset = _why_not(rx, viewer, at, head)
    if at is None or reset is not None:
        return Replay(head, viewer, reset=reset)
    facts = _heard(rx, viewer, at.number) if at.number < head.number else []
    if len(facts) > MOST:
        return Replay(head, viewer, reset="gap")
    try:
        return Replay(head, viewer, tuple(_frames(rx, viewer, facts)))
    except Exception:  # a fact that can't be told must not keep its audience out for ever
        log.exception("the facts after %s could not be told to %s", cursor, viewer.reach)
        return Replay(head, viewer, reset="gap")


def _why_not(rx: Rx, viewer: Viewer, at: Cursor | None, head: Head) -> str | None:
    """Why a stream can't go on from there; None: it can."""
    if at is None:
        return "bad_cursor"
    if at.epoch != head.epoch:
        return "epoch"
    if at.number > head.number:
        return "bad_cursor"
    if at.number < audience_from(rx) - 1:
        return "gap"
    if rx.value(_RIGHTS, personal=viewer.personal_key, after=at.number):
        return "scope_changed"
    return None


def _heard(rx: Rx, viewer: Viewer, after: int) -> list[Recorded]:
    """The facts that either of his keys was told, in order; more than `MOST` when there are more."""
    if viewer.reach in EVERYTHING:
        personal = {n for (n,) in rx.all(_PERSONAL, personal=viewer.personal_key, after=after)}
        rows = rx.all(_HEARD_BY_ALL, personal=viewer.personal_key, after=after)
        return [stored_fact(row, {viewer.personal_key: 2} if row[0] in personal else {}) for row in rows]
    # key by key: each is a range of the primary key, already in order
    facts = [
        stored_fact(row[:-1], {key: row[-1]})
        for key in (viewer.reach, viewer.personal_key)
        for row in rx.all(_HEARD, key=key, after=after)
    ]
    return sorted(facts, key=lambda fact: fact.number)


def _frames(rx: Rx, viewer: Viewer, facts: list[Recorded]) -> list[Frame]:
    people = people_of(rx)
    subjects = {(viewer.reach, f.lead) for f in facts if f.lead is not None}
    seen, _ = truths(rx, subjects)
    rooms = [Room(viewer.reach, viewer.view), Room(viewer.personal_key, viewer.view)]
    frames: list[Frame] = []
    for recorded in facts:
        encoder = Encoder(recorded, people, lambda lead: seen.get((viewer.reach, lead)))
        for room in rooms:
            if side_for(recorded, room.key) and (frame := encoder.frame(room)) is not None:
                frames.append(frame)
    return _only_last_left(frames, {lead for _, lead in seen})


def _only_last_left(frames: list[Frame], seen: set[int]) -> list[Frame]:
    """Of a lead that the viewer no longer sees, only that it left, once."""
    last_left = {f.lead: f.number for f in frames if f.name == "lead.left"}
    return [
        f
        for f in frames
        if f.lead is None
        or f.name == "notice"
        or f.lead in seen
        or (f.name == "lead.left" and last_left[f.lead] == f.number)
    ]
