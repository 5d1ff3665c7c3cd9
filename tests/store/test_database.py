"""The databases of a deployment: which may be opened, which stay open, and what a read sees."""

import asyncio
import shutil
import sqlite3
import threading
from typing import Any

import pytest
from sqlalchemy import bindparam, text, update

from backend.access import companies
from backend.errors import NotFound, Unavailable
from backend.store import database as databases
from backend.store.database import Store
from backend.store.statements import prepare
from backend.store.tables import control
from backend.store.transactions import Rx, Tx
from tests.world import DEADLINE, within

from .actions import FOREVER, Gate, put, value_of
from .conftest import Floor

_STATE = prepare(
    update(control.companies).where(control.companies.c.slug == bindparam("b")).values(state=bindparam("s"))
)


async def another(floor: Floor, slug: str) -> int:
    """A third company, with a copy of beta's file."""
    made = await within(floor.database.control.write(companies.create, slug, slug))
    await within(floor.database.control.write(companies.activate, made.id))
    with sqlite3.connect(floor.beta.path) as source:
        source.execute("VACUUM INTO ?", (str(floor.database.company_file(slug)),))
    return made.id


def is_open(store: Store) -> bool:
    try:
        store._writing.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


# Which may be opened -------------------------------------------------------------------------------------------------------


async def test_a_company_is_opened_once(floor: Floor) -> None:
    stores = await within(asyncio.gather(*(floor.database.company(floor.demo.id) for _ in range(20))))
    assert {id(s) for s in stores} == {id(floor.demo)}


async def test_an_unknown_company_is_not_found(floor: Floor) -> None:
    with pytest.raises(NotFound):
        await floor.database.company(4711)
    assert {p.name for p in (floor.database.folder / "companies").glob("*.db")} == {"demo.db", "beta.db"}


@pytest.mark.parametrize("state", ["suspended", "created"])
async def test_a_company_that_is_not_active_is_not_found(floor: Floor, state: str) -> None:
    gamma = await another(floor, "gamma")
    await within(floor.database.control.write(lambda tx: tx.run(_STATE, b="gamma", s=state)))
    with pytest.raises(NotFound):
        await floor.database.company(gamma)


async def test_what_two_companies_hold_stays_apart(floor: Floor) -> None:
    await within(floor.demo.write(put, "mine"))
    assert floor.demo.read_now(value_of, "mine") == "1" and floor.beta.read_now(value_of, "mine") is None


# Which stay open -----------------------------------------------------------------------------------------------------------


async def test_the_company_used_least_recently_is_closed_first(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "OPEN_COMPANIES", 2)
    gamma = await another(floor, "gamma")
    await floor.database.company(floor.demo.id)  # used again, so that beta is the older one
    opened = await floor.database.company(gamma)
    assert (is_open(floor.demo), is_open(floor.beta), is_open(opened)) == (True, False, True)
    again = await floor.database.company(floor.beta.id)
    assert again is not floor.beta and await within(again.write(put, "back")) == "back"


async def test_a_company_that_a_stream_needs_is_not_closed(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "OPEN_COMPANIES", 2)
    floor.demo.pins += 1
    opened = await floor.database.company(await another(floor, "gamma"))
    assert (is_open(floor.demo), is_open(floor.beta), is_open(opened)) == (True, False, True)


async def test_a_company_is_served_also_when_all_the_others_are_needed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "OPEN_COMPANIES", 2)
    floor.demo.pins += 1
    floor.beta.pins += 1
    opened = await floor.database.company(await another(floor, "gamma"))
    assert await within(opened.write(put, "served")) == "served"
    assert is_open(floor.demo) and is_open(floor.beta)


async def test_a_company_with_a_write_or_a_read_under_way_is_not_closed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gamma = await another(floor, "gamma")
    monkeypatch.setattr(databases, "OPEN_COMPANIES", 1)
    reading, gate = Gate(), Gate()
    read = asyncio.ensure_future(floor.beta.read(reading.action))
    assert await asyncio.to_thread(reading.entered.wait, DEADLINE)
    held = await gate.closed_on(floor.demo)  # not in the queue any more: in the writer's hands
    write = floor.demo.write(put, "kept")
    opened = await floor.database.company(gamma)
    assert is_open(floor.demo) and is_open(floor.beta)
    gate.open(), reading.open()
    assert (await within(asyncio.gather(held, write, read)))[1] == "kept"
    assert (floor.demo.pins, floor.beta.pins, opened.pins) == (0, 0, 0)


# What a read sees ----------------------------------------------------------------------------------------------------------


async def test_a_read_sees_one_snapshot_from_beginning_to_end(floor: Floor) -> None:
    looked, committed = threading.Event(), threading.Event()

    def twice(rx: Rx) -> tuple[Any, Any]:
        first = value_of(rx, "later")
        looked.set()
        assert committed.wait(DEADLINE)
        return first, value_of(rx, "later")

    reading = asyncio.ensure_future(floor.demo.read(twice))
    assert await asyncio.to_thread(looked.wait, DEADLINE)
    await within(floor.demo.write(put, "later"))
    committed.set()
    assert await within(reading) == (None, None)
    assert await floor.demo.read(value_of, "later") == "1"


async def test_a_read_that_takes_too_long_is_unavailable_and_harms_nobody(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "READ_SECONDS", 0.05)
    with pytest.raises(Unavailable):
        await within(floor.demo.read(lambda rx: rx.value(text(FOREVER + "SELECT count(*) FROM r"))))
    monkeypatch.setattr(databases, "READ_SECONDS", 5.0)
    assert [await floor.demo.read(value_of, "nothing") for _ in range(4)] == [None] * 4


async def test_the_operators_own_reads_may_take_longer(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "READ_SECONDS", 0.0001)
    counting = text(FOREVER + "SELECT count(*) FROM (SELECT n FROM r LIMIT 300000)")
    assert floor.demo.read_now(lambda rx: rx.value(counting)) == 300_000


async def test_a_query_can_not_write(floor: Floor) -> None:
    def sly(rx: Rx) -> None:
        Tx(floor.demo, rx._connection, rx.now).run(text("DELETE FROM settings"))

    with pytest.raises(Unavailable, match="readonly"):
        await floor.demo.read(sly)


async def test_what_is_remembered_never_goes_back_to_an_older_version(floor: Floor) -> None:
    def old(rx: Rx) -> str:
        return rx.cached("thing", 1, lambda _: "old")

    def new(rx: Rx) -> str:
        return rx.cached("thing", 2, lambda _: "new")

    def slow(rx: Rx) -> str:
        return rx.cached("thing", 1, lambda _: floor.demo.read_now(new) and "old")

    assert (floor.demo.read_now(slow), floor.demo.cache["thing"]) == ("old", (2, "new"))
    assert floor.demo.read_now(old) == "old"
    assert floor.demo.cache["thing"] == (2, "new")


async def test_what_a_refused_action_read_is_not_remembered(floor: Floor) -> None:
    def refused(tx: Tx) -> None:
        tx.cached("thing", 9, lambda _: "never was")
        raise NotFound

    with pytest.raises(NotFound):
        await within(floor.demo.write(refused))
    assert "thing" not in floor.demo.cache
    await within(floor.demo.write(lambda tx: tx.cached("thing", 9, lambda _: "is")))
    assert floor.demo.cache["thing"] == (9, "is")


async def test_a_copied_folder_opens_with_everything_that_was_committed(floor: Floor, tmp_path: Any) -> None:
    """Also what only the write-ahead log holds so far."""
    await within(floor.demo.write(put, "kept"))
    shutil.copytree(floor.database.folder, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "companies" / "demo.db") as raw:
        assert raw.execute("SELECT value FROM settings WHERE name = 'kept'").fetchall() == [("1",)]
