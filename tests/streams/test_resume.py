"""Between a cursor and now: a resume gives exactly what was missed, or says once that the client must fetch again."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from backend.access import people
from backend.access.scope import Viewer
from backend.leads import actions, hierarchy
from backend.leads.changes import Done
from backend.store.ids import DAY
from backend.store.journal import read_head, rotate_epoch, trim_audience
from backend.store.transactions import Rx
from backend.streams import replay
from backend.streams.replay import Cursor
from tests.streams.watching import Watcher, number_of, settled
from tests.world import World


async def a_watcher(world: World, name: str = "sales1", **narrow: Any) -> Watcher:
    watcher = Watcher(world, await world.viewer(name))
    await watcher.look()
    return await watcher.open(**narrow)


async def cursor_now(world: World, company: str = "demo") -> str:
    return (await world.stores[company].read(read_head)).cursor


def reasons(watcher: Watcher) -> list[str]:
    return [s["data"]["reason"] for s in watcher.said if s["event"] == "reset"]


async def give(world: World, done: Done, to: str) -> Done:
    target = {"salesperson_id": world.person(to).id}
    return await world.store.write(
        actions.assign, await world.viewer("admin"), done.lead.id, target, version=done.lead.version
    )


async def a_busy_hour(world: World) -> None:
    """Leads that come, change, leave and come back for sales1, and others that are never his."""
    for n in range(6):
        done = await world.owned(("sales1", "sales2", "sales3")[n % 3], firm_name=f"Firm {n}")
        viewer = await world.viewer("admin")
        for city in ("Leeds", "York"):
            done = await world.store.write(
                actions.edit, viewer, done.lead.id, {"city": city}, version=done.lead.version
            )
        done = await give(world, done, ("sales2", "sales1", "sales1")[n % 3])
        if n % 2:
            done = await give(world, done, "sales3")
            done = await give(world, done, "sales1")
        await world.store.write(actions.log_activity, viewer, done.lead.id, "call")


# What a resume gives -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sales1", "sales2", "manager2", "guest1"])
async def test_a_resume_from_every_id_of_a_history_yields_exactly_the_suffix(world: World, name: str) -> None:
    """Invariant 4: but of leads that he sees no longer, only that they left."""
    watcher = await a_watcher(world, name)
    first = watcher.last
    await a_busy_hour(world)
    await settled(world)
    history = watcher.take()
    assert len(history) > 10
    seen, names = watcher.rows.keys(), {number_of(f["id"]): f["event"] for f in history}
    last_left = {f["data"]["lead"]: f["id"] for f in history if f["event"] == "lead.left"}
    owed = [
        f
        for f in history
        if f["event"] == "notice" or f["data"]["lead"] in seen or last_left.get(f["data"]["lead"]) == f["id"]
    ]
    for cursor in [first, *(f["id"] for f in history)]:
        again = await Watcher(world, watcher.viewer, follows=False).open(cursor)
        suffix = [f for f in owed if number_of(f["id"]) > number_of(cursor)]
        assert [(f["id"], f["event"]) for f in again.frames] == [(f["id"], names[number_of(f["id"])]) for f in suffix]
        assert [s["event"] for s in again.said] == ["hello", "ready"]
        assert again.said[0]["id"] == cursor and again.said[0]["data"]["mode"] == "resume"
        assert again.said[1]["data"]["replayed"] == len(suffix)
        for frame, was in zip(again.frames, suffix, strict=True):
            if frame["event"] not in ("lead.entered", "notice"):
                assert {k: v for k, v in frame["data"].items() if k != "prev"} == {
                    k: v for k, v in was["data"].items() if k != "prev"
                }
        again.cut()


async def test_an_entered_row_of_now_followed_by_older_updates_converges(world: World) -> None:
    watcher = await a_watcher(world)
    watcher.cut()
    done = await world.owned("sales1", city="One")
    for city in ("Two", "Three"):
        done = await world.store.write(
            actions.edit, await world.viewer("sales1"), done.lead.id, {"city": city}, version=done.lead.version
        )
    await watcher.open()
    assert watcher.names() == ["lead.entered", "lead.updated", "lead.updated"]
    assert watcher.frames[0]["data"]["row"]["city"] == "Three", "rows are sent as they are now"
    await watcher.agrees()


@pytest.mark.parametrize("broken", [False, True], ids=["in one batch", "across a break"])
async def test_a_lead_that_goes_to_another_and_comes_back_is_there_at_the_end(world: World, broken: bool) -> None:
    """Invariant 12: A→B→A. A ends with the lead, never with `left` last."""
    done = await world.owned("sales1")
    a, b = await a_watcher(world, "sales1"), await a_watcher(world, "sales3")
    if broken:
        a.cut(), b.cut()
    admin, lead = await world.viewer("admin"), done.lead
    there, back = ({"salesperson_id": world.person(name).id} for name in ("sales3", "sales1"))
    await asyncio.gather(
        world.store.write(actions.assign, admin, lead.id, there, version=1),
        world.store.write(actions.assign, admin, lead.id, back, version=2),
    )
    await settled(world)
    for watcher in (a, b):
        await watcher.open() if broken else watcher.take()
        await watcher.agrees()
    assert [n for n in a.names() if n != "notice"] == ["lead.left", "lead.entered"]
    assert b.names()[-1] == "lead.left" and (broken or b.names()[:2] == ["lead.entered", "notice"])
    assert str(lead.id) in a.rows and str(lead.id) not in b.rows


async def test_of_a_lead_that_came_and_went_while_away_nothing_but_its_leaving_is_told(world: World) -> None:
    watcher = await a_watcher(world)
    watcher.cut()
    done = await world.owned("sales1", phone="+447700900999", city="Secret")
    await give(world, done, "sales3")
    await watcher.open()
    assert watcher.names() == ["lead.left"]
    assert set(watcher.frames[0]["data"]) == {"v", "prev", "lead", "version"}


async def test_another_persons_cursor_shows_nothing_extra(world: World) -> None:
    """Invariant 20: a cursor is a place in time; what is told there follows from who asks."""
    theirs = await a_watcher(world, "sales3")
    await world.owned("sales3")
    await settled(world)
    theirs.take()
    await world.owned("sales3")
    mine = await Watcher(world, await world.viewer("sales1")).open(theirs.frames[0]["id"])
    assert mine.frames == [] and reasons(mine) == []


async def test_narrowing_never_widens_and_a_foreign_lead_looks_like_none(world: World) -> None:
    """Invariant 32."""
    before = await cursor_now(world)
    foreign, own = (await world.owned("sales3")).lead, (await world.owned("sales1")).lead
    await world.owned("sales1", firm_name="Another")
    answers = []
    for lead in (foreign.id, 4_711):
        watcher = Watcher(world, await world.viewer("sales1"))
        await watcher.open(before, lead=lead)
        answers.append((watcher.said, watcher.frames))
    assert answers[0] == answers[1] and answers[0][1] == []
    both = await Watcher(world, await world.viewer("sales1")).open(before, lead=own.id, types=frozenset({"lead"}))
    assert [f["data"]["lead"] for f in both.frames] == [str(own.id)] and both.names() == ["lead.entered"]
    none = await Watcher(world, await world.viewer("sales1")).open(before, types=frozenset({"timeline"}))
    assert none.frames == [] and none.said[-1]["data"]["replayed"] == 0
    await world.store.write(actions.log_activity, await world.viewer("sales1"), own.id, "call")
    await settled(world)
    assert [f["event"] for f in none.take()] == ["timeline.added"] and both.take() == []


# When it can't be resumed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("garbage", "bad_cursor"),
        ("", None),
        ("00000000.1", "epoch"),
        ("{epoch}.99999", "bad_cursor"),
        ("{epoch}.-1", "bad_cursor"),
        ("{epoch}.٣", "bad_cursor"),
        ("{epoch}.1e3", "bad_cursor"),
        ("{epoch}." + "9" * 40, "bad_cursor"),
        ("{beta}", "epoch"),
    ],
)
async def test_a_cursor_that_is_not_ours_gets_one_reset_and_the_stream_goes_on(
    world: World, cursor: str, reason: str | None
) -> None:
    now = await cursor_now(world)
    given = cursor.format(epoch=now.partition(".")[0], beta=await cursor_now(world, "beta"))
    watcher = await Watcher(world, await world.viewer("sales1")).open(given or now)
    assert reasons(watcher) == ([reason] if reason else [])
    if reason:
        assert [s["event"] for s in watcher.said] == ["hello", "reset", "ready"]
        assert watcher.said[0]["data"]["mode"] == "live" and watcher.said[1]["id"] == now
        await watcher.look()
    await world.owned("sales1")
    await settled(world)
    assert [f["event"] for f in watcher.take()] == ["lead.entered"]


async def test_a_trimmed_log_is_one_reset_for_a_gap(world: World) -> None:
    """Invariant 20: the stream stays open and what follows applies."""
    watcher = await a_watcher(world)
    watcher.cut()
    await world.owned("sales1")
    world.time.forward(8 * DAY / 1_000_000)
    kept = await world.owned("sales1")
    assert await world.store.write(trim_audience, kept.lead.created_at - 7 * DAY) > 0
    await watcher.open()
    assert reasons(watcher) == ["gap"] and watcher.frames == []
    await watcher.look()
    await give(world, kept, "sales2")
    await settled(world)
    watcher.take()
    assert watcher.names() == ["lead.left"]
    await watcher.agrees()


@pytest.mark.parametrize(("facts", "reset"), [(replay.MOST, []), (replay.MOST + 1, ["gap"])])
@pytest.mark.parametrize("name", ["sales1", "admin"])
async def test_five_hundred_facts_are_replayed_and_one_more_is_a_gap(
    world: World, name: str, facts: int, reset: list[str]
) -> None:
    lead = (await world.owned("sales1")).lead
    watcher = await a_watcher(world, name)
    watcher.cut()
    viewer = await world.viewer("admin")
    await asyncio.gather(*(world.store.write(actions.log_activity, viewer, lead.id, "call") for _ in range(facts)))
    await watcher.open()
    assert reasons(watcher) == reset
    assert len(watcher.frames) == (0 if reset else facts)


async def test_a_restored_database_voids_every_cursor(world: World) -> None:
    """Invariant 21, the part of the streams: another epoch is a reset, however good the number looks."""
    watcher = await a_watcher(world)
    watcher.cut()
    await world.store.write(rotate_epoch)
    await watcher.open()
    assert reasons(watcher) == ["epoch"]
    assert watcher.last == await cursor_now(world)


async def test_rights_that_changed_since_the_cursor_are_a_reset(world: World) -> None:
    """Invariant 17: resume with an older cursor is refused; with one from after the change it is not."""
    watcher = await a_watcher(world, "warrior1")
    watcher.cut()
    person = world.person("warrior1")
    await world.store.write(
        hierarchy.move_person,
        await world.viewer("admin"),
        person.id,
        version=person.version,
        data_visibility="All",
    )
    await watcher.open()
    assert reasons(watcher) == ["scope_changed"]
    later = watcher.last
    watcher.cut()
    await watcher.open(later)
    assert reasons(watcher) == ["scope_changed"], "once"


async def test_somebody_suspended_gets_no_replay(world: World) -> None:
    watcher = await a_watcher(world)
    watcher.cut()
    await world.owned("sales1")
    await world.store.write(people.suspend, Viewer.system("test"), world.person("sales1").id, version=1)
    await watcher.open()
    assert [s["event"] for s in watcher.said[2:]] == ["bye"] and watcher.frames == []


# Cost and races ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["_HEARD", "_RIGHTS", "_PERSONAL"])
async def test_a_quiet_stream_reads_only_the_rows_of_its_own_keys(world: World, statement: str) -> None:
    """Invariant 24: a week of other people's facts costs a resume nothing: each read is a range of the primary key."""
    prepared = getattr(replay, statement)

    def plan(rx: Rx) -> list[str]:
        return [
            row[-1]
            for row in rx.all(
                text(f"EXPLAIN QUERY PLAN {prepared.text}"), **dict.fromkeys(KEYS, 1), **prepared.literals
            )
        ]

    steps = await world.store.read(plan)
    assert any("journal_audience USING PRIMARY KEY (key=? AND number>?)" in step for step in steps), steps
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps), steps


KEYS = ("key", "after", "personal", "reach")


async def test_a_quiet_stream_resumes_from_its_last_heartbeat(world: World) -> None:
    """Invariant 24: after many foreign facts the heartbeat's id is near, so nothing is reset and little is read."""
    session = await world.session("sales1")
    watcher = Watcher(world, replace(await world.viewer("sales1"), session_id=session.id))
    await watcher.look()
    await watcher.open()
    for _ in range(30):
        await world.owned("sales3")
    await settled(world)
    keeper = world.hub.keeper
    now = [world.hub.fanout.monotonic()]
    world.hub.fanout.monotonic = lambda: now[0]
    await keeper.sweep()
    now[0] += 16
    await keeper.sweep()
    watcher.take()
    beat = watcher.said[-1]
    assert beat["event"] == "hb" and beat["id"] == await cursor_now(world) and set(beat["data"]) == {"t"}
    assert abs(beat["data"]["t"] - world.time.now // 1000) < 5
    watcher.cut()
    await watcher.open()
    assert watcher.frames == [] and reasons(watcher) == []
    await world.owned("sales1")
    await settled(world)
    assert watcher.take()[0]["data"]["prev"] == await _before_last(world)


async def _before_last(world: World) -> str:
    cursor = Cursor.read(await cursor_now(world))
    assert cursor is not None
    return f"{cursor.epoch}.{cursor.number - 1}"


async def test_list_then_stream_misses_and_doubles_nothing_while_writers_run(world: World) -> None:
    """Invariant 26: each list continues from exactly its own cursor, with writers at full speed."""
    rng = Random(5)
    leads = [(await world.owned(("sales1", "sales2", "sales3")[n % 3])).lead.id for n in range(9)]
    admin = await world.viewer("admin")
    over = False

    async def write() -> None:
        while not over:
            lead = rng.choice(leads)
            target = {"salesperson_id": world.person(rng.choice(("sales1", "sales2", "sales3"))).id}
            if rng.random() < 0.5:
                await world.store.write(_to, admin, lead, target)
            else:
                await world.store.write(actions.log_activity, admin, lead, "call")

    writers = [asyncio.create_task(write()) for _ in range(4)]
    watchers = []
    for n in range(100):
        watcher = Watcher(world, await world.viewer(("sales1", "sales3", "manager1", "admin", "cosales1")[n % 5]))
        await watcher.look()
        watchers.append(await watcher.open())
        if n % 3 == 0:
            older = rng.choice(watchers)
            older.take()
            older.cut()
            await older.open()
    over = True
    await asyncio.gather(*writers)
    await settled(world)
    for watcher in watchers:
        watcher.take()  # where `prev` and the order of the numbers are asserted
        if watcher.stale:
            assert reasons(watcher) == ["gap"]
            await watcher.look()
        await watcher.agrees()


def _to(tx: Any, viewer: Viewer, lead: int, target: dict[str, int | None]) -> Done:
    found = actions.load(tx, lead)
    assert found is not None
    return actions.assign(tx, viewer, lead, target, version=found[0].version)
