"""Between a client's cursor and now: what its keys were told, in order, rows as they are now."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select

from ..access.scope import EVERYTHING, Viewer, people_of
from ..events import RightsChanged
from ..leads.queries import truths
from ..store.journal import Head, Recorded, audience_from, read_head, stored_fact
from ..store.statements import prepare
from ..store.tables.spine import journal, journal_audience, journal_body
from ..store.transactions import Rx
from .frames import Encoder, Frame, Room, side_for

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
    """Frames to send before the live ones, or the reason why the client must fetch again."""

    frames: tuple[Frame, ...]
    head: Head
    reset: str | None = None


_FACT = [journal.c[c] for c in ("number", "at", "kind", "actor", "via", "lead_id", "version", "side", "batch")]
_HEARD = prepare(
    select(*_FACT, journal_body.c.body, journal_audience.c.key, journal_audience.c.side)
    .join(journal, journal.c.number == journal_audience.c.number)
    .join(journal_body, journal_body.c.number == journal.c.number, isouter=True)
    .where(
        or_(journal_audience.c.key == bindparam("reach"), journal_audience.c.key == bindparam("personal")),
        journal_audience.c.number > bindparam("after"),
    )
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


def replay(rx: Rx, viewer: Viewer, cursor: str | None) -> Replay:
    """What to send a stream that opens at `cursor` (None: from now on)."""
    head = read_head(rx)
    if cursor is None:
        return Replay((), head)
    at = Cursor.read(cursor)
    if at is None:
        return Replay((), head, "bad_cursor")
    if at.epoch != head.epoch:
        return Replay((), head, "epoch")
    if at.number > head.number:
        return Replay((), head, "bad_cursor")
    if at.number == head.number:
        return Replay((), head)
    if at.number < audience_from(rx) - 1:
        return Replay((), head, "gap")
    if rx.value(_RIGHTS, personal=viewer.personal_key, after=at.number):
        return Replay((), head, "scope_changed")
    facts = _heard(rx, viewer, at.number)
    if len(facts) > MOST:
        return Replay((), head, "gap")
    return Replay(tuple(_frames(rx, viewer, facts)), head)


def _heard(rx: Rx, viewer: Viewer, after: int) -> list[Recorded]:
    if viewer.reach in EVERYTHING:
        personal = {n for (n,) in rx.all(_PERSONAL, personal=viewer.personal_key, after=after)}
        rows = rx.all(_HEARD_BY_ALL, personal=viewer.personal_key, after=after)
        return [stored_fact(row, {viewer.personal_key: 2} if row[0] in personal else {}) for row in rows]
    rows = rx.all(_HEARD, reach=viewer.reach, personal=viewer.personal_key, after=after)
    return [stored_fact(row[:-2], {row[-2]: row[-1]}) for row in rows]


def _frames(rx: Rx, viewer: Viewer, facts: list[Recorded]) -> list[Frame]:
    people = people_of(rx)
    subjects = {(viewer.reach, f.lead) for f in facts if f.lead is not None}
    seen, _ = truths(rx, subjects)  # type: ignore[arg-type]
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
