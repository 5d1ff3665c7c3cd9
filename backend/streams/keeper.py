"""Keeps open streams honest, once a second for all of them: heartbeats, slow readers, expired tokens, ended sessions."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable

from ..access.signin import by_session
from ..errors import HubError
from ..store.database import Database
from ..store.ids import Clock
from ..store.transactions import Rx
from .fanout import MOST_QUEUED, SLOW_SECONDS, Fanout, Subscriber
from .tail import Tail

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
RECHECK = 15.0
"""Seconds after which a stream's session is read again: the backstop, should a revocation not have reached it as a fact."""


class Keeper:
    def __init__(self, database: Database, fanout: Fanout, tail: Tail, clock: Clock) -> None:
        self._database = database
        self._fanout = fanout
        self._tail = tail
        self._clock = clock
        self._beats: dict[Subscriber, float] = {}
        self._rechecked = fanout.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(_each_second(self.sweep), name="keeper")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> None:
        now, monotonic = self._clock(), self._fanout.monotonic()
        for subscriber in tuple(self._fanout.subscribers):
            if subscriber.expires_at and now >= subscriber.expires_at:
                subscriber.bye("token_expired", reconnect=True)
            elif subscriber.held is None and not subscriber.closing:
                self._check_pace(subscriber, monotonic)
                self._beat(subscriber, monotonic)
        self._beats = {s: at for s, at in self._beats.items() if s in self._fanout.subscribers}
        if monotonic - self._rechecked >= RECHECK:
            self._rechecked = monotonic
            await self.recheck()

    def _beat(self, subscriber: Subscriber, now: float) -> None:
        due = self._beats.setdefault(subscriber, now + HEARTBEAT * random.uniform(0.9, 1.0))
        if now < due:
            return
        self._beats[subscriber] = now + HEARTBEAT * random.uniform(0.9, 1.0)
        number = max(subscriber.head, self._tail.dispatched(subscriber.company))
        subscriber.say("hb", {"t": self._clock() // 1000}, number)

    def _check_pace(self, subscriber: Subscriber, now: float) -> None:
        """More than 256 KiB or 10 s behind: one `reset` for all of it. Nothing taken for 10 s more: cut off."""
        if subscriber.behind_since is None:
            return
        stuck = subscriber.stuck_since is not None
        if subscriber.stuck_since is not None and now - subscriber.stuck_since > SLOW_SECONDS:
            subscriber.closing = True
            subscriber.end()
        elif subscriber.queued > MOST_QUEUED or (not stuck and now - subscriber.behind_since > SLOW_SECONDS):
            self._fanout.resets["slow"] += 1
            subscriber.reset("slow", max(subscriber.head, self._tail.dispatched(subscriber.company)))
            if not stuck:
                subscriber.stuck_since = now

    async def recheck(self) -> None:
        """End the streams whose session has ended. A company that can't be read keeps its streams until the next time."""
        by_company: dict[int, list[Subscriber]] = defaultdict(list)
        for subscriber in self._fanout.subscribers:
            by_company[subscriber.company].append(subscriber)
        for company, subscribers in by_company.items():
            ids = {s.viewer.session_id for s in subscribers if s.viewer.session_id is not None}
            try:
                alive = await (await self._database.company(company)).read(_alive, ids)
            except HubError:
                log.exception("the sessions of company %d could not be read again", company)
                continue
            for subscriber in subscribers:
                if subscriber.viewer.session_id not in alive:
                    subscriber.bye("revoked", reconnect=False)


def _alive(rx: Rx, session_ids: set[int]) -> set[int]:
    return {session_id for session_id in session_ids if by_session(rx, session_id) is not None}


async def _each_second(sweep: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(1)
        try:
            await sweep()
        except Exception:  # the keeper must outlive any single trouble
            log.exception("the keeper stumbled")
