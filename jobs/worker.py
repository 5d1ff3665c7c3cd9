"""Runs the ticks of `triggers.py`. APScheduler is the only ticker; what a tick does is an ordinary action."""

import asyncio
import logging

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from backend.errors import HubError
from backend.hub import Hub

from .triggers import CLOCK, Tick

log = logging.getLogger(__name__)


class Worker:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._ticking: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for tick in CLOCK:
            self._every(tick.seconds, self._tick, tick)
        self._every(1, self._watch)
        self._scheduler.start()

    async def stop(self) -> None:
        """Start nothing more, and let what runs come to its end."""
        self._scheduler.pause()
        await asyncio.gather(*self._ticking, return_exceptions=True)
        self._scheduler.shutdown(wait=False)

    def _every(self, seconds: float, run: object, *args: object) -> None:
        self._scheduler.add_job(
            run, "interval", args, seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None
        )

    async def _tick(self, tick: Tick) -> None:
        task = asyncio.ensure_future(self._run(tick))
        self._ticking.add(task)
        task.add_done_callback(self._ticking.discard)
        await asyncio.shield(task)

    async def _run(self, tick: Tick) -> None:
        for store in self._hub.database.opened():
            if store is self._hub.database.control:
                continue
            try:
                await store.write_bulk(tick.action)
            except HubError:
                log.warning("%s waits: the store of %s is not available", tick.name, store.name)

    async def _watch(self) -> None:
        self._hub.database.writer.watch()
