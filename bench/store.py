"""The whole inbound action through the store, committed before it answers; beside it the same SQL in bare sqlite3."""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from backend.inbox import deliveries

from . import bare, floor
from .figures import RUNS, Row, spread

CALLERS = (1, 8, 32, 128)
MANY = 64
"""Units in a transaction of the batched replay: as many as the writer takes into one commit."""
Messages = Sequence[tuple[str, bytes, list[deliveries.Numbered]]]


class Measured(NamedTuple):
    per_second: float
    cpu: float
    """µs of CPU for one message, all threads."""
    note: str


def run(template: Path, work: Path, quick: bool) -> list[Row]:
    count = 3_000 if quick else 12_000
    bodies = floor.bodies(count, seed=1)
    units = bare.record(floor.copy(template, work / "record"), bodies)

    def through_store(callers: int) -> Measured:
        folder = floor.copy(template, work / "store")
        measured = asyncio.run(_store(folder, bodies, callers))
        floor.check(folder, count)
        return measured

    def in_bare(per_transaction: int) -> Measured:
        folder = floor.copy(template, work / "bare")
        gc.freeze()  # the noted statements are millions of objects: nobody should walk them meanwhile
        played = bare.replay(folder, units, per_transaction)
        floor.check(folder, count)
        return Measured(count / played.seconds, played.cpu / count * 1e6, spread(played.each))

    singly = _row("bare sqlite3, the same SQL, one transaction each", lambda: in_bare(1))
    batched = _row(f"bare sqlite3, the same SQL, {MANY} messages in a transaction", lambda: in_bare(MANY))
    del units
    gc.unfreeze()
    rows = []
    for callers in CALLERS:
        aim = {1: 0.6, 32: 2.0}.get(callers)
        rows.append(_row(f"the store, {_named(callers)}", lambda n=callers: through_store(n), aim, singly))  # type: ignore[misc]
    return [*rows, singly, batched]


def _named(callers: int) -> str:
    return "one caller" if callers == 1 else f"{callers} callers"


def _row(what: str, measure: Callable[[], Measured], aim: float | None = None, beside: Row | None = None) -> Row:
    measured = [measure() for _ in range(RUNS)]
    middle = sorted(measured)[len(measured) // 2]
    figures = [m.per_second for m in measured]
    ratio = statistics.median(figures) / beside.median if beside else 0.0
    return Row(
        what,
        figures,
        "/s",
        cpu=[m.cpu for m in measured],
        note=middle.note + (f"; {ratio:.2f} × bare" if beside else ""),
        target=f"≥ {aim:g} × bare" if aim else "",
        met=ratio >= aim if aim else None,
    )


async def _store(folder: Path, bodies: Sequence[bytes], callers: int) -> Measured:
    """Each caller sends one message after the other, waiting for the commit of each."""
    messages: Messages = [floor.read(raw) for raw in bodies]
    waiting = iter(messages)
    waits: list[float] = []
    async with floor.open_hub(folder) as (_, store):

        async def caller() -> None:
            for message in waiting:
                began = time.perf_counter()
                await store.write(deliveries.receive, *message)
                waits.append(time.perf_counter() - began)

        gc.collect()
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(caller() for _ in range(callers)))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Measured(len(messages) / seconds, cpu / len(messages) * 1e6, spread(waits))
