"""Fact → frame: what one room (reach key × view) is told of one fact. The same words live and in a replay.

A frame's data is encoded once per operation and view; only `prev`, the id of the frame before it, belongs to a stream.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ..access.roles import VIEWS
from ..access.scope import EVERYTHING, People, team_of_key
from ..events import ActivityLogged, Forgotten, LeadFact, MessageReceived, Noticed
from ..leads.fields import LeadRow, Shares, field_of, shown, shown_within
from ..leads.timeline import by, line
from ..store.ids import rfc3339
from ..store.journal import IS, WAS, Recorded


@dataclass(frozen=True, slots=True)
class Frame:
    """`rest` is the JSON object from after `prev` on. `lead` serves narrowing and the bulk rule."""

    name: str
    number: int
    rest: bytes
    lead: int | None = None

    def sse(self, epoch: bytes, prev: bytes) -> bytes:
        return b'event: %b\nid: %b.%d\ndata: {"v":1,"prev":"%b",%b\n\n' % (
            self.name.encode(),
            epoch,
            self.number,
            prev,
            self.rest,
        )


class Room(NamedTuple):
    key: str
    view: str


Rows = Callable[[int], tuple[LeadRow, Shares] | None]
"""How `entered` finds a lead's row: as the fact left it when live, as it is now in a replay."""


def side_for(recorded: Recorded, key: str) -> int:
    if key in EVERYTHING:
        return recorded.side if recorded.lead is not None else 0
    return recorded.audience.get(key, 0)


class Encoder:
    """Frames of one fact, each encoded once however many rooms and subscribers it goes to."""

    def __init__(self, recorded: Recorded, people: People, rows: Rows) -> None:
        self.recorded = recorded
        self._people = people
        self._rows = rows
        self._made: dict[tuple[int, str, int | None], Frame | None] = {}

    def frame(self, room: Room) -> Frame | None:
        """What the room is told; None: nothing."""
        side = side_for(self.recorded, room.key)
        if not side:
            return None
        team = team_of_key(room.key, self._people) if isinstance(self.recorded.fact, ActivityLogged) else None
        made = side, room.view, team
        if made not in self._made:
            self._made[made] = self._encode(*made)
        return self._made[made]

    def _encode(self, side: int, view: str, team: int | None) -> Frame | None:
        fact = self.recorded.fact
        if isinstance(fact, Noticed):
            return self._framed("notice", {"about": fact.about, "text": fact.text, "lead": _id(self.recorded.lead)})
        forgotten = isinstance(fact, Forgotten) and self.recorded.side > 0
        if not (forgotten or isinstance(fact, LeadFact)) or not VIEWS[view]:
            return None
        if side == WAS:
            return self._framed("lead.left", self._subject())
        if side == IS or not isinstance(fact, LeadFact):
            found = self._rows(self.recorded.lead or 0)
            if found is None:
                return None
            row = shown(*found, self._people, view)
            # of what an erased fact changed nothing is known any more: all of the row is told
            name, key = ("lead.entered", "row") if side == IS else ("lead.updated", "set")
            return self._framed(name, {**self._told_by(view), key: row})
        return self._updated(fact, view, team)

    def _updated(self, fact: LeadFact, view: str, team: int | None) -> Frame | None:
        changed = self._changed(fact, view)
        if isinstance(fact, ActivityLogged | MessageReceived):
            item = line(self.recorded, self._people, view, team)
            if item is not None:
                extra = {"set": changed} if changed else {}
                return self._framed("timeline.added", {**self._told_by(view), "item": item, **extra})
        return self._framed("lead.updated", {**self._told_by(view), "set": changed}) if changed else None

    def _changed(self, fact: LeadFact, view: str) -> dict[str, Any]:
        """The changed fields that the view shows; with them, whenever the row's version moved, what moved with it."""
        fields, people = VIEWS[view], self._people
        out = {}
        for column, (_, new) in fact.changes.items():
            name = field_of(column)
            if name in fields:
                out[name] = shown_within(view, column, new, people)
        if fact.changes and not isinstance(fact, ActivityLogged | MessageReceived):
            out["version"] = self.recorded.version
            out["updated_at"] = rfc3339(self.recorded.at)
            if "updated_by" in fields:
                out["updated_by"] = by(self.recorded, people, view)
        return out

    def _subject(self) -> dict[str, Any]:
        return {"lead": _id(self.recorded.lead), "version": self.recorded.version}

    def _told_by(self, view: str) -> dict[str, Any]:
        teller = by(self.recorded, self._people, view)
        return {**self._subject(), "at": rfc3339(self.recorded.at), **({"by": teller} if teller else {})}

    def _framed(self, name: str, data: dict[str, Any]) -> Frame:
        return Frame(name, self.recorded.number, orjson.dumps(data)[1:], self.recorded.lead)


def _id(lead: int | None) -> str | None:
    return None if lead is None else str(lead)


def control(name: str, data: dict[str, Any], cursor: bytes | None = None) -> bytes:
    """A control frame (hello, ready, reset, hb, bye) as SSE bytes."""
    identity = b"id: %b\n" % cursor if cursor else b""
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), identity, orjson.dumps(data))
