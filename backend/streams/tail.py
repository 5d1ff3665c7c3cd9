"""Journal → this process, strictly in order per company. What was committed here comes by hand; a gap is read from the journal."""

import asyncio
import logging
from collections import defaultdict

from ..access.scope import ALL, People, people_of
from ..errors import HubError
from ..events import LeadFact, PersonJoined, RightsChanged, SettingsChanged
from ..leads.queries import truths
from ..store.database import Store
from ..store.journal import WAS, Recorded, facts_since, people_version
from ..store.transactions import Rx
from .fanout import Fanout, Listener

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.2


class Tail:
    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.listeners: list[Listener] = []
        self._dispatched: dict[int, int] = {}
        self._known: dict[Store, tuple[int, People]] = {}
        self._waiting: dict[Store, list[Recorded]] = defaultdict(list)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="tail")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def announce(self, store: Store, facts: list[Recorded]) -> None:
        """Facts of one commit, in the order of the commits."""
        self._waiting[store].extend(facts)
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Until everything announced so far has been dispatched."""
        await self._idle.wait()

    def dispatched(self, company: int) -> int:
        return self._dispatched.get(company, 0)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                store, facts = next(iter(self._waiting.items()))
                del self._waiting[store]
                try:
                    await self._dispatch(store, facts)
                except HubError:  # the store could not be read: nothing was dispatched, nothing is lost
                    log.exception("the tail of %s waits for its store", store.name)
                    self._waiting[store][:0] = facts
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:  # our own error: whoever listens there fetches again, and the tail goes on
                    log.exception("facts of %s could not be told", store.name)
                    self._dispatched[store.id] = facts[-1].number
                    self.fanout.reset_all(store.id, "gap", facts[-1].number)
            self._idle.set()

    async def _dispatch(self, store: Store, facts: list[Recorded]) -> None:
        done = self._dispatched.get(store.id)
        if done is not None:
            facts = [f for f in facts if f.number > done]
            if facts and facts[0].number != done + 1:
                facts = await store.read(facts_with_rows, done, facts[0].number - 1) + facts
        if not facts:
            return
        people = await self._people(store, facts)
        self.fanout.dispatch(store.id, facts, people)
        for listener in self.listeners:
            try:
                listener(store.id, facts, people)
            except Exception:  # a screen's trouble is not the streams' trouble
                log.exception("a listener of %s stumbled", store.name)
        self._dispatched[store.id] = facts[-1].number

    async def _people(self, store: Store, facts: list[Recorded]) -> People:
        """The people as of these facts or later. Remembered ones will do unless a fact says that they have changed."""
        known = self._known.get(store)
        kept = store.cache.get("people")
        if kept is not None and (known is None or kept[0] > known[0]):
            known = kept
        if known is None or any(isinstance(f.fact, PersonJoined | RightsChanged | SettingsChanged) for f in facts):
            known = await store.read(_people)
        self._known[store] = known
        return known[1]


def _people(rx: Rx) -> tuple[int, People]:
    return people_version(rx), people_of(rx)


def facts_with_rows(rx: Rx, after: int, to: int) -> list[Recorded]:
    """Facts out of the journal, each with its lead's row as it is now.

    That row is only for who sees the lead now: of one that a key sees no more, only the last `left` is told to it.
    """
    facts = facts_since(rx, after, to, most=to - after)
    about = [f for f in facts if f.lead is not None and (f.side or isinstance(f.fact, LeadFact))]
    seen, _ = truths(rx, {(key, f.lead) for f in about for key in (*f.audience, ALL)})  # type: ignore[misc]
    told: set[tuple[str, int | None]] = set()
    for recorded in reversed(about):
        lead = recorded.lead
        sides = {**recorded.audience, ALL: recorded.side}
        for key, side in list(sides.items()):
            if (key, lead) in seen:
                recorded.row = seen[key, lead]  # type: ignore[index]
            elif side == WAS and (key, lead) not in told:
                told.add((key, lead))
            else:
                del sides[key]
        recorded.side = sides.pop(ALL, 0)
        recorded.audience = sides
    return facts
