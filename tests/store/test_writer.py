"""The writer: batches, savepoints, fairness, and what happens when the store itself fails."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from sqlalchemy import select, text

from backend.errors import Conflict, Unavailable
from backend.events import SettingsChanged
from backend.leads import actions, reach
from backend.store import journal, writer
from backend.store.database import Store, connect
from backend.store.tables.leads import identities, lead_access, lead_counts, lead_words, leads
from backend.store.transactions import Tx
from tests.world import DEADLINE, World, within

from .actions import (
    MACHINE,
    Gate,
    counted,
    never_ends,
    never_stops_writing,
    put,
    put_and_refuse,
    recorded_names,
    value_of,
)
from .conftest import Floor


class DrivenMonotonic:
    """Stands for the module `time` in the writer: time stands still until told."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: what is in the queue goes into one batch."""
    monkeypatch.setattr(writer, "BATCH_SECONDS", 60.0)


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> Iterator[DrivenMonotonic]:
    """One action per batch, and a clock that the test moves."""
    time = DrivenMonotonic()
    monkeypatch.setattr(writer, "time", time)
    monkeypatch.setattr(writer, "BATCH_ACTIONS", 1)
    yield time


async def outcomes(*waits: Awaitable[Any]) -> list[Any]:
    """Values, and the classes of what was raised."""
    found = await within(asyncio.gather(*waits, return_exceptions=True))
    return [type(x) if isinstance(x, BaseException) else x for x in found]


async def test_many_actions_share_a_commit(floor: Floor, one_batch: None) -> None:
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    waits = [floor.demo.write(put, f"n{i}") for i in range(40)]
    gate.open()
    assert await outcomes(held, *waits) == [None, *(f"n{i}" for i in range(40))]
    assert [len(facts) for _, facts in floor.heard] == [40]


async def test_a_batch_holds_a_bounded_number_of_actions(floor: Floor, one_batch: None) -> None:
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    waits = [floor.demo.write(put, f"n{i}") for i in range(150)]
    gate.open()
    await outcomes(held, *waits)
    assert max(len(facts) for _, facts in floor.heard) <= writer.BATCH_ACTIONS
    assert sum(len(facts) for _, facts in floor.heard) == 150


async def test_a_refused_action_leaves_no_row_and_no_fact(floor: Floor, one_batch: None) -> None:
    before = floor.demo.read_now(counted)
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    waits = [
        floor.demo.write(put, "first", audience={"all": 2}),
        floor.demo.write(put_and_refuse, "refused"),
        floor.demo.write(put, "second"),
    ]
    gate.open()
    assert await outcomes(held, *waits) == [None, "first", Conflict, "second"]
    assert floor.demo.read_now(value_of, "refused") is None
    assert floor.demo.read_now(recorded_names) == ["first", "second"]
    after = floor.demo.read_now(counted)
    assert {t: after[t] - before[t] for t in after} == {"journal": 2, "journal_body": 2, "journal_audience": 1}
    assert floor.demo.read_now(journal.check) == []


async def test_a_refused_action_owes_no_access_and_no_counts(world: World, one_batch: None) -> None:
    """It touches a lead of its own, one that a neighbour of its batch has just moved, and one from before."""
    store, sales1 = world.store, await world.viewer("sales1")
    old = (await world.owned("sales1", firm_name="Old", value=500)).lead
    made: list[Any] = []

    def capture(tx: Tx) -> None:
        made.append(actions.capture(tx, sales1, {"firm_name": "Kept", "value": 100}).lead)

    def careless(tx: Tx) -> None:
        actions.capture(tx, sales1, {"firm_name": "Vanishing", "phone": "+447700900111", "value": 7})
        actions.move(tx, sales1, made[0].id, "demo", version=1)
        actions.archive(tx, sales1, old.id, version=1)
        raise Conflict("on second thoughts")

    gate = Gate()
    held = await gate.closed_on(store)
    waits = [store.write(capture), store.write(careless), store.write(actions.move, sales1, old.id, "demo", version=1)]
    gate.open()
    assert [type(x) for x in await within(asyncio.gather(held, *waits, return_exceptions=True))][2] is Conflict
    names = {
        r.firm_name: r.status for r in (actions.LeadRow(*r) for r in store.read_now(lambda rx: rx.all(select(leads))))
    }
    assert names == {"Old": "demo", "Kept": "contacted"}
    stored = {t.name: store.read_now(lambda rx, t=t: rx.all(select(t))) for t in (lead_words, identities, lead_access)}
    assert {row[0] for row in stored["lead_words"]} == {"old", "kept"}
    assert stored["identities"] == []
    assert {row[1] for row in stored["lead_access"]} == {old.id, made[0].id}
    assert (f"sp:{world.person('sales1').id}", "contacted", 1, 10_000) in store.read_now(
        lambda rx: rx.all(select(lead_counts))
    )
    assert store.read_now(reach.check) == [] and store.read_now(journal.check) == []


async def test_an_action_is_answered_after_its_facts_were_announced(floor: Floor) -> None:
    await within(floor.demo.write(put, "told"))
    assert floor.numbers() == [floor.demo.read_now(journal.read_head).number]


# Whose turn it is ----------------------------------------------------------------------------------------------------------


async def order_of(floor: Floor, submit: Callable[[Callable[[Store, str, bool], None]], None]) -> list[str]:
    """The order in which the writer ran what `submit(add)` queued while it was held."""
    ran: list[str] = []
    waits: list[Awaitable[Any]] = []

    def note(tx: Tx, name: str) -> None:
        ran.append(name)

    def add(store: Store, name: str, bulk: bool) -> None:
        waits.append((store.write_bulk if bulk else store.write)(note, name))

    gate = Gate()
    held = await gate.closed_on(floor.database.control)
    submit(add)
    gate.open()
    await outcomes(held, *waits)
    return ran


async def test_a_company_with_a_thousand_actions_does_not_starve_another(floor: Floor) -> None:
    def submit(add: Callable[[Store, str, bool], None]) -> None:
        for i in range(1000):
            add(floor.demo, f"demo{i}", False)
        add(floor.beta, "beta", False)

    ran = await order_of(floor, submit)
    assert len(ran) == 1001 and ran.index("beta") <= writer.BATCH_ACTIONS
    assert [x for x in ran if x != "beta"] == [f"demo{i}" for i in range(1000)]


async def test_companies_take_turns(floor: Floor, driven: DrivenMonotonic) -> None:
    def submit(add: Callable[[Store, str, bool], None]) -> None:
        for i in range(4):
            add(floor.demo, f"demo{i}", False)
        for i in range(2):
            add(floor.beta, f"beta{i}", False)

    assert await order_of(floor, submit) == ["demo0", "beta0", "demo1", "beta1", "demo2", "demo3"]


async def test_what_people_wait_for_goes_before_bulk_work(floor: Floor, driven: DrivenMonotonic) -> None:
    def submit(add: Callable[[Store, str, bool], None]) -> None:
        add(floor.demo, "bulk0", True)
        add(floor.beta, "bulk1", True)
        for i in range(3):
            add(floor.beta, f"urgent{i}", False)

    ran = await order_of(floor, submit)
    assert ran[:3] == ["urgent0", "urgent1", "urgent2"] and set(ran[3:]) == {"bulk0", "bulk1"}


async def test_bulk_work_gets_a_turn_when_it_has_waited_enough_but_only_one(
    floor: Floor, driven: DrivenMonotonic
) -> None:
    """A long import must neither wait for ever nor, once it has waited, make everybody wait for all of it."""

    def submit(add: Callable[[Store, str, bool], None]) -> None:
        for i in range(3):
            add(floor.demo, f"bulk{i}", True)
        for i in range(3):
            add(floor.beta, f"urgent{i}", False)
        driven.at += writer.BULK_PATIENCE + 0.1

    ran = await order_of(floor, submit)
    assert ran == ["bulk0", "urgent0", "urgent1", "urgent2", "bulk1", "bulk2"]


# When the store fails ------------------------------------------------------------------------------------------------------


async def test_a_commit_that_fails_fails_every_caller_and_announces_nothing(floor: Floor, one_batch: None) -> None:
    """A deferred constraint is broken by one action and found out by COMMIT alone."""
    with closing(sqlite3.connect(floor.demo.path)) as raw:
        raw.executescript(
            "CREATE TABLE mothers (id INTEGER PRIMARY KEY);"
            "CREATE TABLE children (mother INTEGER REFERENCES mothers (id) DEFERRABLE INITIALLY DEFERRED);"
        )
    floor.demo._writing.execute("PRAGMA foreign_keys=ON")
    before = floor.demo.read_now(journal.read_head)

    def orphan(tx: Tx) -> None:
        tx.run(text("INSERT INTO children VALUES (1)"))

    gate = Gate()
    held = await gate.closed_on(floor.beta)
    waits = [floor.demo.write(put, "a"), floor.demo.write(orphan), floor.demo.write(put_and_refuse, "b")]
    gate.open()
    assert await outcomes(held, *waits) == [None, Unavailable, Unavailable, Unavailable]
    assert floor.heard == []
    assert floor.demo.read_now(value_of, "a") is None and floor.demo.read_now(journal.read_head) == before
    assert await within(floor.demo.write(put, "again")) == "again"
    assert floor.numbers() == [before.number + 1]
    assert floor.demo.read_now(journal.check) == []


async def test_a_full_disk_fails_what_it_stops_and_nothing_half_done_stays(floor: Floor, one_batch: None) -> None:
    """SQLite undoes the whole transaction then; the neighbours that still fit run again without the one that did not."""
    pages = floor.demo._writing.execute("PRAGMA page_count").fetchone()[0]

    def huge(tx: Tx) -> None:
        put(tx, "huge", "x" * 1_000_000)

    floor.demo._writing.execute(f"PRAGMA max_page_count={pages + 60}")
    gate = Gate()
    held = await gate.closed_on(floor.beta)
    waits = [floor.demo.write(put, "a"), floor.demo.write(huge), floor.demo.write(put, "b"), floor.demo.write(put, "c")]
    gate.open()
    assert await outcomes(held, *waits) == [None, "a", Unavailable, "b", "c"]
    with pytest.raises(Unavailable) as full:
        await waits[1]
    assert str(full.value.__cause__) == "database or disk is full"
    assert floor.demo.read_now(recorded_names) == ["a", "b", "c"]
    assert floor.numbers() == sorted(set(floor.numbers())) and len(floor.numbers()) == 3
    assert floor.demo.read_now(journal.check) == []
    floor.demo._writing.execute("PRAGMA max_page_count=1000000000")
    await within(floor.demo.write(huge))
    assert floor.demo.read_now(journal.check) == []


async def test_a_lost_connection_fails_the_callers_and_a_new_one_serves_again(floor: Floor, one_batch: None) -> None:
    gate = Gate()
    held = await gate.closed_on(floor.beta)
    floor.demo._writing.close()
    waits = [floor.demo.write(put, f"n{i}") for i in range(3)]
    neighbour = floor.beta.write(put, "other")
    gate.open()
    assert await outcomes(held, *waits, neighbour) == [None, Unavailable, Unavailable, Unavailable, "other"]
    floor.demo._writing = connect(floor.demo.path)
    assert await within(floor.demo.write(put, "back")) == "back"
    assert floor.demo.read_now(recorded_names) == ["back"]


async def test_what_can_not_be_written_at_the_commit_fails_alone(floor: Floor, one_batch: None) -> None:
    """An action whose fact has no bytes must not take its neighbours with it."""

    def poison(tx: Tx) -> None:
        journal.record(tx, MACHINE, SettingsChanged(changes={"bad": [None, object()]}))

    gate = Gate()
    held = await gate.closed_on(floor.beta)
    waits = [floor.demo.write(put, "a"), floor.demo.write(poison), floor.demo.write(put, "b")]
    gate.open()
    assert await outcomes(held, *waits) == [None, "a", Unavailable, "b"]
    assert floor.demo.read_now(recorded_names) == ["a", "b"]
    assert floor.demo.read_now(journal.check) == []


@pytest.mark.parametrize("stuck", [never_ends, never_stops_writing])
async def test_a_stuck_action_is_interrupted_and_its_neighbours_go_on(
    floor: Floor, one_batch: None, monkeypatch: pytest.MonkeyPatch, stuck: Callable[[Tx], Any]
) -> None:
    monkeypatch.setattr(writer, "STUCK_ACTION", 0.05)
    gate = Gate()
    held = await gate.closed_on(floor.beta)
    waits = [floor.demo.write(put, "a"), floor.demo.write(stuck), floor.demo.write(put, "b")]
    gate.open()
    await within(held)
    everything = asyncio.gather(*waits, return_exceptions=True)

    async def watch() -> None:
        while not everything.done():
            floor.database.writer.watch()
            await asyncio.sleep(0)

    try:
        await within(watch())
    finally:
        floor.demo.interrupt()
    assert [type(x) if isinstance(x, Exception) else x for x in await everything] == ["a", Unavailable, "b"]
    assert floor.demo.read_now(recorded_names) == ["a", "b"]
    assert floor.demo.read_now(value_of, "row1") is None
    assert floor.demo.read_now(journal.check) == []


# Callers who go away -------------------------------------------------------------------------------------------------------


async def test_an_action_whose_caller_has_gone_is_not_begun(floor: Floor, one_batch: None) -> None:
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    gone, stays = floor.demo.write(put, "gone"), floor.demo.write(put, "stays")
    gone.cancel()  # type: ignore[attr-defined]
    gate.open()
    await within(held)
    assert await within(stays) == "stays"
    assert floor.demo.read_now(recorded_names) == ["stays"]


async def test_a_caller_who_goes_while_his_action_runs_changes_nothing_about_it(floor: Floor) -> None:
    gate = Gate()

    def slow(tx: Tx) -> None:
        gate.action(tx)
        put(tx, "slow")

    gone = asyncio.ensure_future(floor.demo.write(slow))
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE)
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    gate.open()
    await within(floor.demo.write(put, "next"))
    assert floor.demo.read_now(recorded_names) == ["slow", "next"]
    assert len(floor.numbers()) == 2


async def test_closing_finishes_what_is_queued(floor: Floor) -> None:
    gate = Gate()
    held = await gate.closed_on(floor.demo)
    waits = [floor.demo.write_bulk(put, f"n{i}") for i in range(30)]
    closing_down = asyncio.create_task(asyncio.to_thread(floor.database.writer.stop))
    gate.open()
    await outcomes(held, *waits, closing_down)
    assert len(floor.demo.read_now(recorded_names)) == 30
