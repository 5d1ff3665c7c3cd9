"""Attempts within attempts: whatever is refused leaves nothing, and everything else stays."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from backend.errors import Conflict
from backend.store import journal
from backend.store.tables.spine import settings
from backend.store.transactions import Tx
from tests.world import within

from .actions import put, recorded_names
from .conftest import Floor

Step = str | tuple[bool, list[Any]]
"""A name to put, or an attempt: (is it refused at its end, its steps)."""


def program(rng: Random, names: list[str], depth: int = 0) -> list[Step]:
    steps: list[Step] = []
    for _ in range(rng.randrange(4)):
        if depth < 3 and rng.random() < 0.6:
            steps.append((rng.random() < 0.4, program(rng, names, depth + 1)))
        else:
            names.append(f"n{len(names)}")
            steps.append(names[-1])
    return steps


def run(tx: Tx, steps: list[Step], refused: bool = False) -> None:
    for step in steps:
        if isinstance(step, str):
            put(tx, step)
            continue
        with suppress(Conflict):
            tx.attempt(run, step[1], step[0])
    if refused:
        raise Conflict("no")


def staying(steps: list[Step]) -> list[str]:
    """The names that are not within anything refused, in order."""
    found: list[str] = []
    for step in steps:
        found += [step] if isinstance(step, str) else [] if step[0] else staying(step[1])
    return found


def stored(floor: Floor) -> set[str]:
    rows = floor.demo.read_now(lambda rx: rx.all(select(settings.c.name)))
    return {name for (name,) in rows if name.startswith("n") and name[1:].isdigit()}


async def test_attempts_within_attempts_leave_exactly_what_was_not_refused(floor: Floor) -> None:
    rng = Random(5)
    names: list[str] = []
    expected: list[str] = []
    refusals = 0
    for _ in range(150):
        steps, refused = program(rng, names), rng.random() < 0.2
        if refused:
            refusals += 1
            with pytest.raises(Conflict):
                await within(floor.demo.write(run, steps, True))
        else:
            await within(floor.demo.write(run, steps))
            expected += staying(steps)
        assert floor.demo.read_now(recorded_names) == expected
        assert stored(floor) == set(expected)
    assert refusals > 10 and 100 < len(expected) < len(names)
    assert floor.demo.read_now(journal.check) == []
