"""The same SQL without the product: what the store executed for single messages is noted once and played again in bare sqlite3."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from backend.inbox import deliveries
from backend.store.checkpoints import Checkpointer
from backend.store.database import Store, connect

from . import floor

OURS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
"""Begins and ends of transactions and attempts: a single message in bare sqlite3 has one BEGIN and one COMMIT."""


class Executed(NamedTuple):
    many: bool
    text: str
    params: Any


Unit = list[Executed]


class Recorder:
    """In the place of the writer's connection: passes everything on and notes the texts and parameters."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.unit: Unit = []

    def execute(self, text: str, params: Any = ()) -> sqlite3.Cursor:
        if not text.startswith(OURS):
            self.unit.append(Executed(False, text, params))
        return self._connection.execute(text, params)

    def executemany(self, text: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        rows = list(rows)
        self.unit.append(Executed(True, text, rows))
        return self._connection.executemany(text, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def record(folder: Path, bodies: Sequence[bytes]) -> list[Unit]:
    """What the store executes for each message when one caller waits for each commit. Without the clock's own writes."""
    return asyncio.run(_record(folder, [floor.read(raw) for raw in bodies]))


async def _record(folder: Path, messages: Sequence[tuple[str, bytes, Any]]) -> list[Unit]:
    units = []
    async with floor.open_database(folder) as store:
        recorder = spied(store)
        for message in messages:
            recorder.unit = []
            await store.write(deliveries.receive, *message)
            units.append(recorder.unit)
    return units


def spied(store: Store) -> Recorder:
    recorder = Recorder(store._writing)
    store._writing = recorder  # type: ignore[assignment]
    return recorder


class Replayed(NamedTuple):
    seconds: float
    cpu: float
    each: list[float]
    """Seconds of each transaction."""


def replay(folder: Path, units: Sequence[Unit], per_transaction: int) -> Replayed:
    """Play the units, so many in one transaction: the hub's pragmas and checkpoints, one thread, nothing else."""
    path = folder / "companies" / f"{floor.SLUG}.db"
    checkpointer = Checkpointer(lambda: [path])
    with closing(connect(path)) as db:
        checkpointer.start()
        each = []
        started, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(units), per_transaction):
            began = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            for unit in units[first : first + per_transaction]:
                play(db, unit)
            db.execute("COMMIT")
            each.append(time.perf_counter() - began)
        took = Replayed(time.perf_counter() - started, time.process_time() - cpu, each)
        checkpointer.stop()
    return took


def play(db: sqlite3.Connection, unit: Unit) -> None:
    for many, text, params in unit:
        if many:
            db.executemany(text, params)
        else:
            db.execute(text, params).fetchall()
