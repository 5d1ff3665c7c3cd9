"""The whole inbound action through the store, committed before it answers; beside it the same SQL in bare sqlite3."""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from backend.inbox import deliveries

from . import bare, floor
from .figures import RUNS, Row, spread

CALLERS = (1, 8, 32, 128)
MANY = 64
"""Units in a transaction of the batched replay: as many as the writer takes into one commit."""
SINGLY = "bare sqlite3, the same SQL, one transaction each"
AIMS = {"the store, one caller": 0.6, "the store, 32 callers": 2.0}
"""Times the speed of `SINGLY` in the same round."""
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
    gc.collect()
    gc.freeze()  # the noted statements are millions of objects: nobody should walk them meanwhile

    def through_store(callers: int) -> Measured:
        folder = floor.copy(template, work / "store")
        measured = asyncio.run(_store(folder, bodies, callers))
        floor.check(folder, count)
        return measured

    def in_bare(per_transaction: int) -> Measured:
        folder = floor.copy(template, work / "bare")
        played = bare.replay(folder, units, per_transaction)
        floor.check(folder, count)
        return Measured(count / played.seconds, played.cpu / count * 1e6, spread(played.each))

    measures: dict[str, Callable[[], Measured]] = {
        **{f"the store, {_callers(n)}": partial(through_store, n) for n in CALLERS},
        SINGLY: partial(in_bare, 1),
        f"bare sqlite3, the same SQL, {MANY} messages in a transaction": partial(in_bare, MANY),
    }
    # round by round, so that what else the machine does meets all of them alike
    rounds = [{what: measure() for what, measure in measures.items()} for _ in range(RUNS)]
    gc.unfreeze()
    return [_row(what, rounds) for what in measures]


def _callers(n: int) -> str:
    return "one caller" if n == 1 else f"{n} callers"


def _row(what: str, rounds: Sequence[dict[str, Measured]]) -> Row:
    measured = [one[what] for one in rounds]
    ratio = statistics.median(one[what].per_second / one[SINGLY].per_second for one in rounds)
    aim = AIMS.get(what)
    return Row(
        what,
        [m.per_second for m in measured],
        "/s",
        cpu=[m.cpu for m in measured],
        note=f"{sorted(measured)[len(measured) // 2].note}; {ratio:.2f} × bare",
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
