"""The one thread that writes to SQLite: a fair queue over companies, many actions per commit.

Each action runs in its own savepoint; what the actions of a batch owe is written once; one COMMIT (synchronous FULL) serves all
of them. A commit that fails fails every caller of the batch and announces nothing. A batch that breaks before its commit has
one action to thank for it: the others run again.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from .transactions import StoreFailed

if TYPE_CHECKING:
    from .database import Store

log = logging.getLogger(__name__)

BATCH_ACTIONS = 64
BATCH_SECONDS = 0.005
BULK_PATIENCE = 0.3
"""Seconds that a company's bulk work waits behind interactive and inbound work before one of it gets a turn all the same."""

LONG_ACTION = 0.25
STUCK_ACTION = 5.0
"""Seconds after which an action is reported, and after which its statement is interrupted."""


@dataclass(slots=True)
class Job:
    store: "Store"
    action: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: "asyncio.Future[Any]"
    bulk: bool
    at: float
    value: Any = None
    error: BaseException | None = None
    alone: bool = False
    """It was in a batch that broke, and runs again in one of its own."""


@dataclass(slots=True)
class Waiting:
    """What one store has in the queue. `bulk_since`: when its bulk work last had a turn, or came (monotonic seconds)."""

    urgent: deque[Job] = field(default_factory=deque)
    bulk: deque[Job] = field(default_factory=deque)
    bulk_since: float = 0.0


class TransactionLost(Exception):
    """SQLite has undone the whole transaction, as it does when a write is interrupted or the disk is full."""


class Writer:
    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting: dict[Store, Waiting] = {}  # in the order of their turns
        self._stopping = False
        self._running: tuple[Store, str, float] | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the queue run dry, then end. Blocks."""
        self._inbox.put(None)
        self._thread.join()

    def submit(self, store: "Store", action: Callable[..., Any], *args: Any, bulk: bool, **kwargs: Any) -> Any:
        """A future of the action's value, resolved after its COMMIT. Call from the event loop."""
        future = asyncio.get_running_loop().create_future()
        store.pins += 1
        self._inbox.put(Job(store, action, args, kwargs, future, bulk, time.monotonic()))
        return future

    def depth(self) -> int:
        return self._inbox.qsize() + sum(len(w.urgent) + len(w.bulk) for w in list(self._waiting.values()))

    def watch(self) -> None:
        """Report an action that takes long and interrupt one that is stuck. Called every second by the clock."""
        running = self._running
        if running is None:
            return
        store, name, started = running
        seconds = time.monotonic() - started
        if seconds > STUCK_ACTION:
            log.error("action %s has held the writer of %s for %.1f s: interrupted", name, store.name, seconds)
            store.interrupt()

    def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    return
                self._take(self._inbox.get())
            self._drain()
            turn = self._next()
            if turn is not None:
                self._commit(*turn)

    def _take(self, job: Job | None) -> None:
        if job is None:
            self._stopping = True
            return
        waiting = self._waiting.setdefault(job.store, Waiting())
        if job.bulk and not waiting.bulk:
            waiting.bulk_since = job.at
        (waiting.bulk if job.bulk else waiting.urgent).append(job)

    def _drain(self) -> None:
        while True:
            try:
                self._take(self._inbox.get_nowait())
            except queue.Empty:
                return

    def _next(self) -> "tuple[Store, deque[Job]] | None":
        """Whose turn it is, and the lane to take from. The store goes to the end of the line."""
        for store, waiting in self._waiting.items():
            if waiting.bulk and time.monotonic() - waiting.bulk_since > BULK_PATIENCE:
                return self._turn(store, waiting.bulk)
        for store, waiting in self._waiting.items():
            if waiting.urgent:
                return self._turn(store, waiting.urgent)
        for store, waiting in self._waiting.items():
            if waiting.bulk:
                return self._turn(store, waiting.bulk)
        return None

    def _turn(self, store: "Store", lane: deque[Job]) -> "tuple[Store, deque[Job]]":
        self._waiting[store] = self._waiting.pop(store)
        return store, lane

    def _commit(self, store: "Store", lane: deque[Job]) -> None:
        jobs: list[Job] = []
        committed, at_commit = None, False
        try:
            tx = store.begin()
            self._fill(tx, lane, jobs)
            tx.flush()
            at_commit = True
            committed = store.commit(tx)
        except BaseException as error:
            log.exception("commit of %d actions on %s failed", len(jobs), store.name)
            store.rollback()
            if not jobs and lane:
                jobs.append(lane.popleft())
            if not at_commit and len(jobs) > 1:
                jobs = _run_again(lane, jobs, guilty=jobs[-1] if isinstance(error, TransactionLost) else None)
            for job in jobs:
                if not isinstance(job.error, Unavailable):  # of its own: it says better what the matter was
                    job.error = Unavailable()
                    job.error.__cause__ = error
        finally:
            self._running = None
            waiting = self._waiting[store]
            if lane is waiting.bulk:
                waiting.bulk_since = time.monotonic()
            if not waiting.urgent and not waiting.bulk:
                del self._waiting[store]
        self._answer(store, jobs, committed)

    def _fill(self, tx: Any, lane: deque[Job], jobs: list[Job]) -> None:
        """Run actions of the lane, each moved to `jobs`, until the batch is full. Raises TransactionLost."""
        until = time.monotonic() + BATCH_SECONDS
        while lane and len(jobs) < BATCH_ACTIONS:
            job = lane.popleft()
            jobs.append(job)
            self._act(tx, job)
            if tx.lost:
                raise TransactionLost from job.error
            if job.bulk or job.alone or time.monotonic() > until:
                return
            if not lane:
                self._drain()

    def _act(self, tx: Any, job: Job) -> None:
        if job.future.cancelled():
            return
        job.error = None
        tx.now = job.store.clock()
        started = time.monotonic()
        self._running = job.store, job.action.__qualname__, started
        try:
            job.value = tx.attempt(job.action, *job.args, **job.kwargs)
        except StoreFailed as error:
            log.exception("action %s could not run on %s", job.action.__qualname__, job.store.name)
            job.error = Unavailable()
            job.error.__cause__ = error
        except Exception as error:
            job.error = error
        took = time.monotonic() - started
        if took > LONG_ACTION:
            log.warning(
                "action %s held the writer of %s for %.0f ms", job.action.__qualname__, job.store.name, took * 1e3
            )

    def _answer(self, store: "Store", jobs: list[Job], committed: Any) -> None:
        if not jobs:
            return
        try:
            jobs[0].future.get_loop().call_soon_threadsafe(_resolve, store, jobs, committed)
        except RuntimeError:  # the loop has ended; what was committed is committed
            log.warning("%d answers of %s came after the loop had ended", len(jobs), store.name)


def _run_again(lane: deque[Job], jobs: list[Job], guilty: Job | None) -> list[Job]:
    """Put the jobs of a batch that broke back in front, each on its own; those (the guilty one) that are not to run again."""
    again = [job for job in jobs if job is not guilty]
    for job in again:
        job.alone = True
    lane.extendleft(reversed(again))
    return [guilty] if guilty else []


def _resolve(store: "Store", jobs: list[Job], committed: Any) -> None:
    store.pins -= len(jobs)
    if committed is not None:
        store.announce(committed)  # streams first: whoever awaits the action may look at them at once
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
