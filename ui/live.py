"""The live screens: what was committed → one broadcast per room and tick. The only code that touches NiceGUI's socket.

A room is (company, reach key, view). The first change after a quiet moment goes out at once, then at most one broadcast per 150 ms.
The tick collects the leads touched per room, reads the truth for all of them in one snapshot and sends `up(card)` or `left(id)`
with the counts; N open screens of a room cost one encoding.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nicegui import Client, core

from backend.access.scope import EVERYTHING, People, Viewer, team_of_key
from backend.errors import HubError
from backend.events import RightsChanged, SessionEnded
from backend.hub import Hub
from backend.leads import queries
from backend.store.database import Store
from backend.store.journal import IS, Recorded, read_head
from backend.store.transactions import Rx
from backend.streams.frames import side_for

from . import figures

log = logging.getLogger(__name__)

TICK = 0.15
FIGURES_EVERY = 1.0
"""Seconds between two broadcasts of the key numbers and the load list of a company."""
HEARTBEAT = 10.0
MOST_OPS = 400
"""More leads than this in one tick: the screens fetch again instead."""


Emit = Callable[[str, dict[str, Any]], Awaitable[None]]
"""(room, message) → every screen in the room."""


class RoomName(NamedTuple):
    company: int
    key: str
    view: str

    def __str__(self) -> str:
        return f"{self.company}/{self.key}/{self.view}"


@dataclass(eq=False, slots=True)
class Seat:
    """One open screen of somebody."""

    client: Client
    store: Store
    viewer: Viewer
    room: RoomName


@dataclass(slots=True)
class Room:
    """`n` counts the broadcasts; a screen that misses one fetches again."""

    n: int = 0
    seats: set[Seat] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    lines: list[dict[str, Any]] = field(default_factory=list)
    figures_due: bool = False
    since: int | None = None
    """When the oldest change that is still owed was made (microseconds): what a screen's lag is counted from."""


class Live:
    """The rooms of all companies in this process. `attach` hears the tail; `sit` gives a page its place."""

    def __init__(self, hub: Hub, emit: Emit | None = None) -> None:
        self._hub = hub
        self._emit = emit or _emit
        self._rooms: dict[RoomName, Room] = {}
        self._sent: dict[int, float] = {}
        self._figures_sent: dict[int, float] = {}
        self._due: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._hub.tail.listeners.append(self.hear)
        self._beating = asyncio.create_task(self._beat(), name="live-heartbeat")

    async def stop(self) -> None:
        if self._beating:
            self._beating.cancel()
        for task in [*self._tasks, *([self._beating] if self._beating else [])]:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Seats -----------------------------------------------------------------------------------------------------------------

    def sit(self, client: Client, store: Store, viewer: Viewer) -> Seat:
        """Put the current page into its room for as long as its client lives; again after each reconnect."""
        name = RoomName(store.id, viewer.reach, viewer.view)
        seat = Seat(client, store, viewer, name)
        room = self._rooms.setdefault(name, Room())
        room.seats.add(seat)
        store.pins += 1

        async def join() -> None:
            for sid in list(client._socket_to_document_id):
                await core.sio.enter_room(sid, str(name))
            await self._say(name, {"hb": True})

        client.on_connect(join)
        client.on_delete(lambda: self._stand_up(seat))
        return seat

    def _stand_up(self, seat: Seat) -> None:
        room = self._rooms.get(seat.room)
        if room is None or seat not in room.seats:
            return
        room.seats.discard(seat)
        seat.store.pins -= 1
        if not room.seats:
            del self._rooms[seat.room]

    def seats_of(self, company: int, person_id: int | None = None) -> list[Seat]:
        return [
            seat
            for name, room in self._rooms.items()
            if name.company == company
            for seat in room.seats
            if person_id is None or seat.viewer.person_id == person_id
        ]

    def online(self, company: int) -> set[int]:
        """People who have a screen open."""
        return {seat.viewer.person_id for seat in self.seats_of(company) if seat.viewer.person_id}

    # Hearing ---------------------------------------------------------------------------------------------------------------

    def hear(self, company: int, facts: list[Recorded], people: People) -> None:
        """Facts of one commit: who was in their rooms is told with the next tick; whose rights changed, at once."""
        rooms = {name: room for name, room in self._rooms.items() if name.company == company}
        if not rooms:
            return
        for recorded in facts:
            fact = recorded.fact
            if isinstance(fact, SessionEnded):
                self._show_out([s for s in self.seats_of(company, fact.person) if s.viewer.session_id == fact.session])
            elif isinstance(fact, RightsChanged):
                self._show_out(self.seats_of(company, fact.person), to="/")
        for name, room in rooms.items():
            for recorded in facts:
                side = side_for(recorded, name.key)
                if not side or recorded.lead is None:
                    continue
                room.touched.add(recorded.lead)
                room.figures_due = True
                room.since = room.since or recorded.at
                if side & IS:
                    told = figures.feed_line(recorded, people, name.view, team_of_key(name.key, people))
                    if told is not None:
                        room.lines.insert(0, told)
        self._schedule(company)

    def _show_out(self, seats: Iterable[Seat], to: str = "/signin") -> None:
        """What these people may see has changed: out of their rooms now, and the page starts again elsewhere."""
        for seat in list(seats):
            self._stand_up(seat)
            task = asyncio.ensure_future(_leave(seat, to))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # Telling ---------------------------------------------------------------------------------------------------------------

    def _schedule(self, company: int) -> None:
        if company in self._due:
            return
        self._due.add(company)
        wait = self._sent.get(company, 0.0) + TICK - time.monotonic()
        task = asyncio.ensure_future(self._tick(company, max(0.0, wait)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick(self, company: int, wait: float) -> None:
        if wait:
            await asyncio.sleep(wait)
        self._due.discard(company)
        self._sent[company] = time.monotonic()
        try:
            await self._broadcast(company)
        except HubError:  # the store could not be read: what was touched stays owed
            log.exception("the live screens wait for their store")
            self._schedule(company)

    async def _broadcast(self, company: int) -> None:
        rooms = {name: room for name, room in self._rooms.items() if name.company == company and room.seats}
        with_figures = time.monotonic() - self._figures_sent.get(company, 0.0) >= FIGURES_EVERY
        asked = {
            name: Asked(frozenset(room.touched), with_figures and room.figures_due)
            for name, room in rooms.items()
            if room.touched or room.figures_due
        }
        if not asked:
            return
        store = await self._hub.database.company(company)
        told, cursor = await store.read(_truth, asked, self.online(company))
        if with_figures:
            self._figures_sent[company] = time.monotonic()
        for name, message in told.items():
            room = rooms[name]
            room.touched -= asked[name].leads
            if asked[name].figures:
                room.figures_due = False
            lines, room.lines = room.lines, []
            at, room.since = (room.since or self._hub.clock()) // 1000, None
            room.n += 2 if len(asked[name].leads) > MOST_OPS else 1  # a gap on purpose: the screens fetch again
            await self._say(name, {**message, "feed": lines[:60], "cursor": cursor, "at": at})
        if any(room.touched or room.figures_due for room in rooms.values()):
            later = max(TICK, self._figures_sent.get(company, 0.0) + FIGURES_EVERY - time.monotonic())
            asyncio.get_running_loop().call_later(later, self._schedule, company)

    async def _say(self, name: RoomName, message: dict[str, Any]) -> None:
        room = self._rooms.get(name)
        if room is None:
            return
        if "cursor" not in message:
            store = await self._hub.database.company(name.company)
            message["cursor"] = (await store.read(read_head)).cursor
        envelope = {"room": str(name), "n": room.n, "at": self._hub.clock() // 1000}
        await self._emit(str(name), {**envelope, **message})

    async def drained(self) -> None:
        """Until everything heard so far has been told."""
        while self._tasks or self._due:
            await asyncio.gather(*self._tasks)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            for name in list(self._rooms):
                try:
                    await self._say(name, {"hb": True})
                except HubError:
                    log.exception("no heartbeat for %s", name)


class Asked(NamedTuple):
    """What one room's broadcast needs to know."""

    leads: frozenset[int]
    figures: bool


def _truth(rx: Rx, asked: dict[RoomName, Asked], online: set[int]) -> tuple[dict[RoomName, dict[str, Any]], str]:
    """The messages of all rooms, out of one snapshot, and its cursor."""
    pairs = {(name.key, lead) for name, a in asked.items() if len(a.leads) <= MOST_OPS for lead in a.leads}
    seen, head = queries.truths(rx, pairs)
    told: dict[RoomName, dict[str, Any]] = {}
    counts: dict[str, Any] = {}
    for name, a in asked.items():
        key = "all" if name.key in EVERYTHING else name.key
        if key not in counts:
            counts[key] = queries.counts(rx, key)
        message: dict[str, Any] = {
            "ops": _ops(rx, name, a.leads, seen),
            "counts": _shown_counts(counts[key], name.view),
        }
        if a.figures:
            message |= figures.figures(rx, name.key, name.view, online)
        told[name] = message
    return told, head.cursor


def _ops(rx: Rx, name: RoomName, leads: frozenset[int], seen: dict[tuple[str, int], queries.Lead]) -> list[Any]:
    if len(leads) > MOST_OPS:
        return []
    return [
        ["up", queries.card(seen[name.key, lead], rx, name.view)] if (name.key, lead) in seen else ["left", str(lead)]
        for lead in leads
    ]


def _shown_counts(counts: dict[str, tuple[int, int]], view: str) -> dict[str, list[Any]]:
    shown: dict[str, list[Any]] = defaultdict(lambda: [0, 0])
    for status in queries.EVERY_COLUMN:
        n, value = counts.get(status, (0, 0))
        counted = queries.shown_count(n, value, view)
        shown[status] = [counted["n"], counted.get("value", 0)]
    return shown


async def _emit(room: str, message: dict[str, Any]) -> None:
    await core.sio.emit("hub", message, room=room)


async def _leave(seat: Seat, to: str) -> None:
    """Out of the room, to another page, and gone: an open socket must not outlive the right to it."""
    for sid in list(seat.client._socket_to_document_id):
        await core.sio.leave_room(sid, str(seat.room))
    with seat.client:
        seat.client.open(to)
    await asyncio.sleep(1)  # so that the browser hears it
    seat.client.delete()
