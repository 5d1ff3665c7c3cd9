"""A key used twice: the work is done once and answered twice."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from backend.errors import Conflict, Invalid
from backend.store import writer
from backend.store.answers import KEPT, Answer, Key, answered, drop_old_answers
from backend.store.ids import SECOND
from backend.store.journal import read_head
from backend.store.tables.spine import idempotency
from backend.store.transactions import Tx
from tests.world import within

from .actions import Gate, put, put_and_refuse, recorded_names
from .conftest import Floor

KEY = Key(7, "order-1", b"d" * 32)


def render(tx: Tx, name: str) -> dict[str, Any]:
    """Names the number of its fact, which only the commit knows."""
    return {"name": name, "number": read_head(tx).number}


async def ask(floor: Floor, key: Key | None, name: str) -> Answer:
    return await within(floor.demo.write(answered, key, 201, render, put, name))  # type: ignore[no-any-return]


async def test_the_answer_names_the_fact_of_its_own_commit(floor: Floor) -> None:
    answer = await ask(floor, None, "a")
    assert answer.status == 201 and orjson.loads(answer.body) == {"name": "a", "number": floor.numbers()[-1]}


async def test_the_same_key_after_the_commit_gets_the_same_answer(floor: Floor) -> None:
    first, second = await ask(floor, KEY, "a"), await ask(floor, KEY, "a")
    assert (first.status, first.body) == (second.status, second.body)
    assert floor.demo.read_now(recorded_names) == ["a"]


async def test_the_same_key_in_one_batch_gets_the_same_answer(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BATCH_SECONDS", 60.0)
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    calls = asyncio.gather(*(ask(floor, KEY, "a") for _ in range(5)))
    await asyncio.sleep(0)
    gate.open()
    await within(held)
    assert len({a.body for a in await within(calls)}) == 1
    assert floor.demo.read_now(recorded_names) == ["a"]


@pytest.mark.parametrize("together", [True, False])
async def test_another_body_under_the_key_is_refused(floor: Floor, together: bool) -> None:
    other = KEY._replace(digest=b"e" * 32)
    if together:
        gate = Gate()
        held = await gate.closed_on(floor.demo)
        first, second = asyncio.ensure_future(ask(floor, KEY, "a")), asyncio.ensure_future(ask(floor, other, "b"))
        await asyncio.sleep(0)
        gate.open()
        await within(held)
        await first
    else:
        await ask(floor, KEY, "a")
        second = asyncio.ensure_future(ask(floor, other, "b"))
    with pytest.raises(Invalid) as refused:
        await second
    assert refused.value.code == "idempotency_mismatch"
    assert floor.demo.read_now(recorded_names) == ["a"]


async def test_another_person_may_use_the_same_key(floor: Floor) -> None:
    await ask(floor, KEY, "a"), await ask(floor, KEY._replace(person_id=8), "b")
    assert floor.demo.read_now(recorded_names) == ["a", "b"]


async def test_a_refused_call_leaves_its_key_unused(floor: Floor) -> None:
    with pytest.raises(Conflict):
        await within(floor.demo.write(answered, KEY, 201, render, put_and_refuse, "a"))
    assert floor.demo.read_now(lambda rx: rx.all(select(idempotency))) == []
    assert orjson.loads((await ask(floor, KEY, "b")).body)["name"] == "b"


async def test_a_key_is_free_again_after_a_day(floor: Floor) -> None:
    await ask(floor, KEY, "a")
    floor.time.forward(KEPT // SECOND + 1)
    assert orjson.loads((await ask(floor, KEY, "b")).body)["name"] == "b"
    assert floor.demo.read_now(recorded_names) == ["a", "b"]


async def test_old_answers_are_dropped_and_young_ones_stay(floor: Floor) -> None:
    await ask(floor, KEY, "a")
    floor.time.forward(KEPT // SECOND - 60)
    await ask(floor, KEY._replace(key="order-2"), "b")
    assert await within(floor.demo.write_bulk(drop_old_answers)) == 0
    floor.time.forward(120)
    assert await within(floor.demo.write_bulk(drop_old_answers)) == 1
    assert floor.demo.read_now(lambda rx: [r[1] for r in rx.all(select(idempotency))]) == ["order-2"]
