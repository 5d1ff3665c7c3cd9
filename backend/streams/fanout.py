"""Rooms and subscribers: who gets which frame. Nothing here waits for a socket.

A subscriber has a queue of shared bytes; a transport (`sse.py`) empties it. Whoever falls behind loses the queue and gets one
`reset`; rights that change purge the queue before anything else is written.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..access.scope import NO_REACH, People, Viewer
from ..events import RightsChanged, SessionEnded
from ..store.journal import Recorded
from .frames import Encoder, Frame, Room, control

log = logging.getLogger(__name__)

MOST_QUEUED = 256 * 1024
SLOW_SECONDS = 10.0
BULK = 200
"""More leads than this in one batch for one room: one `reset` says it all."""
REPLAYS = 16
"""Replays read at once; of a herd that comes back together the rest waits."""
MOST_HELD = 1_000
"""Live frames kept behind a replay; a stream that waits longer than that for its replay fetches again."""


class Reset(NamedTuple):
    """In the place of held frames: fetch again, as of this number."""

    reason: str
    number: int


@dataclass(eq=False, slots=True)
class Subscriber:
    """One open stream. `last` is the id of the last frame given to it; `held` keeps live frames back behind a replay, which
    went up to `head`.

    `wake` is the transport's: called whenever there is something new in `queue`; `end` closes the transport.
    """

    company: int
    epoch: bytes
    viewer: Viewer
    wake: Callable[[], None]
    end: Callable[[], None]
    types: frozenset[str] = frozenset()
    lead: int | None = None
    expires_at: int = 0
    last: bytes = b""
    queue: list[bytes] = field(default_factory=list)
    queued: int = 0
    behind_since: float | None = None
    stuck_since: float | None = None
    held: list[Frame | Reset] | None = None
    closing: bool = False
    head: int = 0

    def rooms(self) -> list[Room]:
        found = [Room(self.viewer.personal_key, self.viewer.view)]
        if self.viewer.reach != NO_REACH:
            found.append(Room(self.viewer.reach, self.viewer.view))
        return found

    def wants(self, frame: Frame) -> bool:
        """Narrowing: by kind of subject and by lead. It never widens: what is not in his rooms never gets here."""
        if self.types and frame.name.partition(".")[0] not in self.types:
            return False
        return self.lead is None or frame.lead == self.lead

    def give(self, frame: Frame) -> None:
        """A live frame; it waits while the replay is read, and what that has sent does not come twice."""
        if self.closing or not self.wants(frame):
            return
        if self.held is not None:
            full = len(self.held) >= MOST_HELD
            if full:
                self.held.clear()
            self.held.append(Reset("gap", frame.number) if full else frame)
        elif not self.knows(frame.number):
            self.send(frame)

    def knows(self, number: int) -> bool:
        """Whether the replay has told of it, with the rights as of then: it may have read ahead of this process's tail."""
        return self.held is None and number <= self.head

    def send(self, frame: Frame) -> None:
        data = frame.sse(self.epoch, self.last)
        self.last = b"%b.%d" % (self.epoch, frame.number)
        self._put(data)

    def say(self, name: str, data: dict[str, Any], number: int | None = None) -> None:
        """A control frame. With a number it carries an id, and later frames name it as the one before."""
        cursor = None
        if number is not None:
            cursor = self.last = b"%b.%d" % (self.epoch, number)
        self._put(control(name, data, cursor))

    def reset(self, reason: str, number: int) -> None:
        """Drop what waits and tell the client to fetch again; the stream goes on."""
        if self.held is not None:  # not begun yet: it is said in its place
            self.held[:] = [Reset(reason, number)]
            return
        self.queue.clear()
        self.queued = 0
        self.say_reset(reason, number)

    def collapse(self, reason: str, number: int) -> None:
        """As `reset`, but what waits is sent before: a personal notice is in no list that could be fetched again."""
        if self.held is not None:
            self.held.append(Reset(reason, number))
        elif not self.knows(number):
            self.say_reset(reason, number)

    def say_reset(self, reason: str, number: int) -> None:
        self.say("reset", {"v": 1, "reason": reason}, number)

    def bye(self, reason: str, *, reconnect: bool) -> None:
        """Say goodbye and close, once."""
        if self.closing:
            return
        self.queue.clear()
        self.queued = 0
        self.say("bye", {"v": 1, "reason": reason, "retry_ms": 1500, "reconnect": reconnect})
        self.closing = True
        self.end()

    def _put(self, data: bytes) -> None:
        if self.closing:
            return
        self.queue.append(data)
        self.queued += len(data)
        self.wake()


Listener = Callable[[int, list[Recorded], People], None]
"""(company, facts in order, people): hears of every committed fact, for the live screens and reactions in this process."""

Rooms = dict[str, dict[str, set[Subscriber]]]
"""Key → view → who is there."""


class Fanout:
    """Rooms of all companies in this process. `monotonic` (seconds) is by which slow readers are told."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rooms: dict[int, Rooms] = {}
        self.subscribers: set[Subscriber] = set()
        self.monotonic = monotonic
        self.replays = asyncio.Semaphore(REPLAYS)
        self.frames = 0
        self.resets: dict[str, int] = defaultdict(int)

    def join(self, subscriber: Subscriber) -> None:
        self.subscribers.add(subscriber)
        company = self._rooms.setdefault(subscriber.company, {})
        for room in subscriber.rooms():
            company.setdefault(room.key, {}).setdefault(room.view, set()).add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        self.subscribers.discard(subscriber)
        company = self._rooms.get(subscriber.company, {})
        for room in subscriber.rooms():
            views = company.get(room.key, {})
            views.get(room.view, set()).discard(subscriber)
            if not views.get(room.view):
                views.pop(room.view, None)
            if not views:
                company.pop(room.key, None)
        if not company:
            self._rooms.pop(subscriber.company, None)

    def see_as(self, subscriber: Subscriber, viewer: Viewer) -> None:
        """The subscriber sees what this viewer sees from now on."""
        self.leave(subscriber)
        subscriber.viewer = viewer
        self.join(subscriber)

    def count_of(self, company: int, person_id: int | None) -> int:
        return sum(1 for s in self.subscribers if s.company == company and s.viewer.person_id == person_id)

    def dispatch(self, company: int, facts: list[Recorded], people: People) -> None:
        """Give every room what it is told of these facts, in order."""
        if company not in self._rooms:
            return
        bulky = self._bulky(self._rooms[company], facts)
        for recorded in facts:
            if isinstance(recorded.fact, RightsChanged | SessionEnded):
                self._rights(company, recorded, people)
            # looked up for each fact: rights that change take somebody from one room to another
            self._tell(self._rooms.get(company, {}), recorded, people, bulky)
        rooms = self._rooms.get(company, {})
        for key in bulky:
            for subscriber in [s for subscribers in rooms.get(key, {}).values() for s in subscribers]:
                self.resets["bulk"] += 1
                subscriber.collapse("bulk", facts[-1].number)

    def reset_all(self, company: int, reason: str, number: int) -> None:
        """Every stream of a company fetches again: what was to be told could not be."""
        for subscriber in [s for s in self.subscribers if s.company == company]:
            self._reset(subscriber, reason, number)

    def _tell(self, rooms: Rooms, recorded: Recorded, people: People, bulky: set[str]) -> None:
        encoder = Encoder(recorded, people, lambda _: recorded.row)
        heard_by_all = ("all", "int") if recorded.lead is not None and recorded.side else ()
        for key in (*recorded.audience, *heard_by_all):
            if key in bulky:
                continue
            for view, subscribers in list(rooms.get(key, {}).items()):
                try:
                    frame = encoder.frame(Room(key, view))
                except Exception:  # one bad fact must not stop the streams of everybody
                    log.exception("fact %d could not be told to %s", recorded.number, key)
                    for subscriber in tuple(subscribers):
                        self._reset(subscriber, "gap", recorded.number)
                    continue
                if frame is not None:
                    self.frames += len(subscribers)
                    for subscriber in tuple(subscribers):
                        subscriber.give(frame)

    def _reset(self, subscriber: Subscriber, reason: str, number: int) -> None:
        if subscriber.knows(number):
            return
        self.resets[reason] += 1
        subscriber.reset(reason, number)

    def _bulky(self, rooms: Iterable[str], facts: list[Recorded]) -> set[str]:
        if len(facts) <= BULK:
            return set()
        leads: dict[str, set[int]] = defaultdict(set)
        for recorded in facts:
            if recorded.lead is not None:
                for key in (*recorded.audience, *(("all", "int") if recorded.side else ())):
                    leads[key].add(recorded.lead)
        return {key for key in rooms if len(leads[key]) > BULK and not key.startswith("u:")}

    def _rights(self, company: int, recorded: Recorded, people: People) -> None:
        """What somebody may see is another thing from this fact on: his streams begin again, or end."""
        fact = recorded.fact
        for subscriber in [s for s in self.subscribers if s.company == company]:
            if isinstance(fact, SessionEnded) and subscriber.viewer.session_id == fact.session:
                subscriber.bye("revoked", reconnect=False)
            elif isinstance(fact, RightsChanged) and subscriber.viewer.person_id == fact.person:
                self._start_again(subscriber, people, recorded.number)

    def _start_again(self, subscriber: Subscriber, people: People, number: int) -> None:
        if subscriber.closing or subscriber.knows(number):
            return
        try:
            person = people.by_id.get(subscriber.viewer.person_id or 0)
            if person is None or person.state != "active":
                subscriber.bye("revoked", reconnect=False)
                return
            viewer = Viewer.of(person, people, subscriber.viewer.session_id)
        except Exception:  # what he may see is unknown: nothing, until he comes back and is asked again
            log.exception("the rights of a stream could not be read again")
            subscriber.bye("rotate", reconnect=True)
            return
        self.see_as(subscriber, viewer)
        self._reset(subscriber, "scope_changed", number)
