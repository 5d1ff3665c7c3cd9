"""Who is told what of one fact, live: the operation of each room, rights that change, bad facts, many at once, two companies."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from backend.access import people, signin
from backend.access.roles import VIEWS
from backend.access.scope import People, Viewer, people_of
from backend.errors import Invalid
from backend.events import ActivityLogged, Forgotten, LeadEdited, RightsChanged
from backend.leads import actions, hierarchy
from backend.leads.changes import Done, load
from backend.store import journal
from backend.store.journal import IS, WAS, Recorded, record
from backend.store.transactions import Tx
from backend.streams.fanout import BULK, MOST_HELD, Reset, Subscriber
from backend.streams.frames import Encoder, Frame, Room
from backend.streams.opening import catch_up
from tests.streams.watching import Watcher, everybody, settled
from tests.world import World, within

LEFT = {"v", "prev", "lead", "version"}


class Watched:
    """Everybody of a company, watching. `told()` says what each has been told since the last time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_name: dict[str, Watcher] = {}

    async def start(self) -> "Watched":
        for name, viewer in (await everybody(self.world)).items():
            self.by_name[name] = Watcher(self.world, viewer)
            await self.by_name[name].look()
            await self.by_name[name].open()
        return self

    async def told(self) -> dict[str, str]:
        """Name → the frames' names, of those who were told anything; notices apart."""
        await settled(self.world)
        heard = {name: [f["event"] for f in w.take() if f["event"] != "notice"] for name, w in self.by_name.items()}
        return {name: " ".join(events) for name, events in heard.items() if events}

    async def act(self, action: Any, done: Done, *args: Any, by: str = "admin", **kwargs: Any) -> Done:
        viewer = await self.world.viewer(by)
        result: Done = await self.world.store.write(
            action, viewer, done.lead.id, *args, version=done.lead.version, **kwargs
        )
        return result


def the(what: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, what)


EVERYTHING = ("admin", "dev1", "guest1", "integration1")


# The operation of each room ------------------------------------------------------------------------------------------------


async def test_from_one_warrior_to_another_of_the_same_salesperson(world: World) -> None:
    """Invariants 11 and 13: `left`, `entered`, and `updated` for those above both; nobody else hears a byte."""
    done = await world.owned("sales2")
    done = await Watched(world).act(actions.assign, done, {"warrior_id": world.person("warrior2").id})
    watched = await Watched(world).start()
    await watched.act(actions.assign, done, {"warrior_id": world.person("warrior3").id})
    assert await watched.told() == {
        **the("lead.left", "warrior2"),
        **the("lead.updated", "sales2", "manager1", "cosales1", *EVERYTHING),
        # warrior3 sees those of every warrior of his partner company, so it was his before
        **the("lead.updated", "warrior3"),
    }
    assert set(watched.by_name["warrior2"].frames[-1]["data"]) == LEFT
    silent = ("sales1", "sales3", "manager2", "partner1", "support1", "warrior1", "stranger")
    for name in silent:
        assert watched.by_name[name].frames == []


async def test_reassigned_in_flight_the_last_frame_is_left_and_the_first_entered_with_the_row(world: World) -> None:
    """Invariant 11: an update of the old owner's may still be queued; the new one begins with the whole row."""
    done = await world.owned("sales1")
    watched = await Watched(world).start()
    done = await watched.act(actions.edit, done, {"city": "Leeds"})
    await watched.act(actions.assign, done, {"salesperson_id": world.person("sales3").id})
    told = await watched.told()
    assert told["sales1"] == "lead.updated lead.left" and told["manager1"] == "lead.updated lead.left"
    assert told["sales3"] == "lead.entered" and told["manager2"] == "lead.entered"
    assert not {"sales2", "warrior1", "partner1", "support1", "stranger"} & told.keys()
    assert set(watched.by_name["sales1"].frames[-1]["data"]) == LEFT
    row = watched.by_name["sales3"].frames[0]["data"]["row"]
    assert row["city"] == "Leeds" and set(row) == VIEWS["standard"]


async def test_a_status_out_of_a_warriors_sight_is_left_for_him_and_updated_above(world: World) -> None:
    """Invariant 14, there and back."""
    done = await world.owned("sales1")
    done = await Watched(world).act(actions.assign, done, {"warrior_id": world.person("warrior1").id})
    watched = await Watched(world).start()
    done = await watched.act(actions.move, done, "lost", reason="Budget")
    told = await watched.told()
    assert told["warrior1"] == "lead.left" and told["sales1"] == told["manager1"] == "lead.updated"
    assert told["warrior3"] == "lead.left", "he sees those of his partner company's warriors"
    await watched.act(actions.move, done, "demo")
    told = await watched.told()
    assert told["warrior1"] == told["warrior3"] == "lead.entered" and told["sales1"] == "lead.updated"


async def test_shared_and_not_shared_any_more_and_away_and_back(world: World) -> None:
    """Invariant 15."""
    done = await world.owned("sales1")
    watched = await Watched(world).start()
    done = await watched.act(actions.share, done, [world.person("sales3").id])
    assert (await watched.told())["sales3"] == "lead.entered"
    done = await watched.act(actions.share, done, [])
    told = await watched.told()
    assert told["sales3"] == "lead.left" and told["sales1"] == "lead.updated"
    done = await watched.act(actions.archive, done)
    seers = ("sales1", "manager1", "cosales1", *EVERYTHING)
    assert await watched.told() == the("lead.left", *seers)
    done = await watched.act(actions.restore, done)
    assert await watched.told() == the("lead.entered", *seers)


async def test_a_salesperson_under_another_manager_changes_the_managers_world_alone(world: World) -> None:
    """Invariant 13: `left` and `entered` for the managers; nothing of the lead itself changed for anybody else."""
    await world.owned("sales1")
    watched = await Watched(world).start()
    person = world.person("sales1")
    admin, target = await world.viewer("admin"), world.person("manager2").id
    await world.store.write(hierarchy.move_person, admin, person.id, version=person.version, manager_id=target)
    assert await watched.told() == the("lead.left", "manager1")
    await world.hub.pay_rekeys(world.store)
    assert await watched.told() == the("lead.entered", "manager2")
    resets = {name for name, w in watched.by_name.items() if w.stale}
    assert resets == {"sales1"}, "whose own place it was"


async def test_a_note_of_one_team_is_told_to_that_team_and_to_who_sees_everything(world: World) -> None:
    done = await world.owned("sales1")
    done = await Watched(world).act(actions.share, done, [world.person("sales3").id])
    watched = await Watched(world).start()
    await world.store.write(
        actions.log_activity, await world.viewer("sales1"), done.lead.id, "note", text="not for the others"
    )
    told = await watched.told()
    assert told == the("timeline.added", "sales1", "manager1", "admin", "dev1")
    assert b"not for the others" not in b"".join(
        str(w.frames).encode() for n, w in watched.by_name.items() if n not in told
    )


async def test_a_notice_reaches_only_an_owner_who_sees_the_lead(world: World) -> None:
    """A warrior does not see lost leads, so nothing names one to him; assigned an open one, he is told."""
    done = await world.owned("sales1")
    done = await Watched(world).act(actions.move, done, "lost", reason="Budget")
    watched = await Watched(world).start()
    warrior = {"warrior_id": world.person("warrior1").id}
    done = await watched.act(actions.assign, done, warrior)
    await settled(world)
    assert watched.by_name["warrior1"].take() == []
    done = await watched.act(actions.move, done, "demo")
    done = await watched.act(actions.assign, done, {"warrior_id": None})
    await watched.act(actions.assign, done, warrior)
    await settled(world)
    assert [f["event"] for f in watched.by_name["warrior1"].take()][-2:] == ["lead.entered", "notice"]


# Rights --------------------------------------------------------------------------------------------------------------------


async def test_a_demotion_purges_what_is_queued(world: World) -> None:
    """Invariant 17: of two hundred frames that wait none is sent after the rights have changed."""
    done = await world.owned("sales1")
    watched = await Watched(world).start()
    cosales = watched.by_name["cosales1"]
    admin = await world.viewer("admin")
    await asyncio.gather(
        *(world.store.write(actions.log_activity, admin, done.lead.id, "call") for _ in range(200)),
        world.store.write(hierarchy.move_person, admin, world.person("cosales1").id, version=1, role="SALESPERSON"),
        world.store.write(actions.log_activity, admin, done.lead.id, "call"),
    )
    await settled(world)
    cosales.said.clear()
    assert cosales.take() == [] and [s["data"].get("reason") for s in cosales.said] == ["scope_changed"]
    await cosales.look()
    assert cosales.rows == {}


async def test_the_only_stream_of_a_company_hears_what_follows_its_change_of_rights(world: World) -> None:
    """In one batch: a change of rights, then a fact of the new world."""
    watcher = Watcher(world, await world.viewer("warrior1"))
    await watcher.look()
    await watcher.open()
    admin, sales1 = await world.viewer("admin"), await world.viewer("sales1")

    def both(tx: Tx) -> None:
        hierarchy.move_person(tx, admin, world.person("warrior1").id, version=1, role="COSALES")
        actions.capture(tx, sales1, {"firm_name": "Next"})

    await world.store.write(both)
    await settled(world)
    assert [f["event"] for f in watcher.take()] == ["lead.entered"]


@pytest.mark.parametrize("how", ["session", "suspended"])
async def test_a_revoked_session_ends_its_stream_at_once(world: World, how: str) -> None:
    """Invariant 18, in the same process: with the fact, before any other frame."""
    session = await world.session("sales1")
    viewer = replace(await world.viewer("sales1"), session_id=session.id)
    mine, other = Watcher(world, viewer), Watcher(world, await world.viewer("sales2"))
    await mine.open(), await other.open()
    if how == "session":
        await world.store.write(signin.end_session, viewer, session.id)
    else:
        await world.store.write(people.suspend, Viewer.system("test"), world.person("sales1").id, version=1)
    await world.lead("admin")
    await settled(world)
    assert mine.take() == [] and mine.closed and not other.closed
    assert mine.said[-1]["data"] == {"v": 1, "reason": "revoked", "retry_ms": 1500, "reconnect": False}


async def test_a_session_that_ended_unheard_is_found_by_the_keeper(world: World) -> None:
    """Invariant 18: the backstop, when the fact never reached this process."""
    session = await world.session("sales1")
    watcher = Watcher(world, replace(await world.viewer("sales1"), session_id=session.id))
    await watcher.open()
    world.hub.database.announce = lambda store, facts: None
    await world.store.write(signin.end_sessions, Viewer.system("test"), world.person("sales1").id, "password")
    now = world.hub.fanout.monotonic() + 15.1
    world.hub.fanout.monotonic = lambda: now
    await world.hub.keeper.sweep()
    watcher.take()
    assert watcher.closed and watcher.said[-1]["data"]["reason"] == "revoked"


class Unreadable(dict[int, Any]):
    def get(self, *_: Any) -> Any:
        raise RuntimeError("the people can't be read")


async def test_when_the_rights_cant_be_computed_the_stream_closes(world: World) -> None:
    """Invariant 30: it does not become one that sees everything."""
    watched = await Watched(world).start()
    sales1 = watched.by_name["sales1"]
    fact = RightsChanged(person=world.person("sales1").id)
    number = (await world.store.read(journal.read_head)).number + 1
    changed = Recorded(fact, 0, None, "test", None, None, 0, {sales1.viewer.personal_key: IS}, number=number)
    world.hub.fanout.dispatch(world.store.id, [changed], People(by_id=Unreadable()))
    sales1.take()
    assert sales1.closed and sales1.said[-1]["event"] == "bye"
    assert not any(w.closed for name, w in watched.by_name.items() if name != "sales1")


async def test_rights_that_changed_while_a_stream_opened_are_those_it_opens_with(world: World) -> None:
    """Who asks was read before; the replay's own snapshot decides."""
    before = await world.viewer("cosales1")
    await world.owned("sales1")
    await world.store.write(
        hierarchy.move_person, await world.viewer("admin"), before.person_id or 0, version=1, role="SALESPERSON"
    )
    await settled(world)
    watcher = Watcher(world, before)
    watcher.subscriber = subscriber = Subscriber(world.store.id, b"", before, lambda: None, lambda: None)
    world.hub.fanout.join(subscriber)
    await _catch_up(world, subscriber)
    assert subscriber.viewer.reach == f"sp:{before.person_id}"
    await world.owned("sales2")
    await settled(world)
    assert watcher.take() == []


async def _catch_up(world: World, subscriber: Subscriber) -> None:
    await catch_up(world.hub.fanout, world.store, subscriber, None)


# Trouble -------------------------------------------------------------------------------------------------------------------


def bad(tx: Tx, viewer: Viewer, lead_id: int) -> None:
    """A fact whose changes can't be shown: a time that is none."""
    found = load(tx, lead_id)
    assert found is not None
    audience = {f"sp:{found[0].salesperson_id}": WAS | IS}
    fact = LeadEdited(changes={"next_followup_at": [None, "tomorrow"]})
    record(tx, viewer, fact, lead=lead_id, version=1, side=WAS | IS, audience=audience, row=found)


@pytest.mark.parametrize("broken", [False, True], ids=["live", "in a replay"])
async def test_one_bad_fact_is_a_reset_to_its_rooms_and_the_next_ones_flow(world: World, broken: bool) -> None:
    done = await world.owned("sales1")
    mine, other = [Watcher(world, await world.viewer(name)) for name in ("sales1", "sales2")]
    for watcher in (mine, other):
        await watcher.look()
        await watcher.open()
    if broken:
        mine.cut()
    await world.store.write(bad, await world.viewer("admin"), done.lead.id)
    if broken:
        await mine.open()
    await world.owned("sales1")
    await settled(world)
    assert [f["event"] for f in mine.take()] == ["lead.entered"]
    assert [s["data"]["reason"] for s in mine.said if s["event"] == "reset"] == ["gap"]
    assert other.take() == [] and not other.stale


async def test_a_gap_of_the_tail_is_read_from_the_journal(world: World) -> None:
    """A hint that got lost costs nothing; of a lead that has gone since, nothing but its leaving is told."""
    watched = await Watched(world).start()
    await world.owned("sales2")  # the tail knows where it is
    await watched.told()
    announce, world.hub.database.announce = world.hub.database.announce, lambda store, facts: None
    kept = await world.owned("sales1")
    kept = await watched.act(actions.edit, kept, {"city": "York"})
    gone = await world.owned("sales1", city="Secret")
    gone = await watched.act(actions.assign, gone, {"salesperson_id": world.person("sales3").id})
    away = await world.owned("sales1", city="Archived")
    await watched.act(actions.archive, away)
    world.hub.database.announce = announce
    await world.owned("sales2")
    told = await watched.told()
    assert told["sales1"] == "lead.entered lead.updated lead.left lead.left"
    assert told["sales3"] == "lead.entered"
    assert "Secret" not in str(watched.by_name["sales1"].frames)
    assert "Archived" not in str([w.frames for w in watched.by_name.values()])
    for watcher in watched.by_name.values():
        await watcher.agrees()


@pytest.mark.parametrize(("leads", "bulky"), [(BULK, False), (BULK + 1, True)])
async def test_more_than_two_hundred_leads_at_once_are_one_reset(world: World, leads: int, bulky: bool) -> None:
    """Invariant 15: per room, and personal notices are not swept away with it."""
    watched = await Watched(world).start()
    sales1, sales2 = world.person("sales1").id, world.person("sales2").id

    def many(tx: Tx, viewer: Viewer) -> None:
        for n in range(leads):
            done = actions.capture(tx, Viewer.of(people_of(tx).by_id[sales1], people_of(tx)), {"firm_name": f"{n}"})
            if n == 0:
                actions.assign(tx, viewer, done.lead.id, {"salesperson_id": sales2}, version=1)
                actions.assign(tx, viewer, done.lead.id, {"salesperson_id": sales1}, version=2)

    await world.store.write(many, await world.viewer("admin"))
    told = await watched.told()
    mine, new_owner = watched.by_name["sales1"], watched.by_name["sales2"]
    assert told["sales2"] == "lead.entered lead.left" and new_owner.names() == ["lead.entered", "notice", "lead.left"]
    assert "notice" in mine.names()
    assert mine.stale is bulky and ("sales1" in told) is not bulky
    resets = [s["data"]["reason"] for s in mine.said if s["event"] == "reset"]
    assert resets == (["bulk"] if bulky else [])
    if bulky:
        await mine.look()
    await world.owned("sales1")
    await settled(world)
    mine.take()
    await mine.agrees()


async def test_what_comes_while_a_replay_waits_is_bounded(world: World) -> None:
    watcher = Watcher(world, await world.viewer("admin"))
    subscriber = Subscriber(world.store.id, b"0" * 8, watcher.viewer, lambda: None, lambda: None)
    subscriber.held = []
    for number in range(3 * MOST_HELD):
        subscriber.give(Frame("lead.left", number, b"}"))
    assert len(subscriber.held) <= MOST_HELD and isinstance(subscriber.held[0], Reset)


async def test_a_reset_that_comes_while_a_replay_is_read_is_said_in_its_place(world: World) -> None:
    """What was held went with it: the client is told, after `ready`."""
    watcher = Watcher(world, await world.viewer("sales1"))
    watcher.subscriber = subscriber = Subscriber(world.store.id, b"", watcher.viewer, lambda: None, lambda: None)
    world.hub.fanout.join(subscriber)
    head = (await world.store.read(journal.read_head)).number
    opening = asyncio.create_task(_catch_up(world, subscriber))
    await asyncio.sleep(0)  # it reads now, and its answer can't come before this turn ends
    assert subscriber.held == []
    subscriber.give(Frame("lead.left", head + 1, b'"lead":"1","version":1}', 1))
    world.hub.fanout.reset_all(world.store.id, "gap", head + 2)
    subscriber.give(Frame("lead.left", head + 3, b'"lead":"2","version":1}', 2))
    await within(opening)
    watcher.take()
    assert [s["event"] for s in watcher.said] == ["hello", "ready", "reset"]
    assert [f["data"]["lead"] for f in watcher.frames] == ["2"]


async def test_an_erased_fact_still_says_that_its_lead_came_changed_or_went(world: World) -> None:
    done = await world.owned("sales1")
    there = await world.store.read(people_of)
    names = {}
    for side in (IS, WAS | IS, WAS):
        fact = Recorded(Forgotten(was="lead.edited"), 0, None, "x", done.lead.id, 1, side, {"sp:1": side}, number=9)
        frame = Encoder(fact, there, lambda _: (done.lead, ())).frame(Room("sp:1", "standard"))
        names[side] = frame.name if frame else None
    assert names == {IS: "lead.entered", WAS | IS: "lead.updated", WAS: "lead.left"}
    notice = Recorded(Forgotten(was="notice"), 0, None, "x", done.lead.id, None, 0, {"u:1": IS}, number=9)
    assert Encoder(notice, there, lambda _: (done.lead, ())).frame(Room("u:1", "standard")) is None


# Order, and two companies --------------------------------------------------------------------------------------------------


async def test_many_writers_with_refusals_leave_numbers_without_a_gap(world: World) -> None:
    """Invariant 5: the order of the numbers is the order in which they are told, and a refused action has none."""
    heard: list[int] = []
    world.hub.tail.listeners.append(lambda company, facts, people: heard.extend(f.number for f in facts))
    rng, admin = Random(3), await world.viewer("admin")

    async def write() -> None:
        for _ in range(20):
            given = {"firm_name": "Fine"} if rng.random() > 0.2 else {"email": "no address"}
            await world.store.write(actions.capture, admin, given)

    results = await asyncio.gather(*(_until_refused(write) for _ in range(32)))
    await settled(world)
    assert any(results) and len(heard) > 60
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert await world.store.read(journal.check) == []


async def _until_refused(write: Any) -> bool:
    try:
        await write()
    except Invalid:
        return True
    return False


async def test_the_same_ids_in_two_companies_never_meet(world: World) -> None:
    """Invariant 30: no frame, cursor or count crosses."""
    assert world.person("sales1").id == world.person("sales1", "beta").id
    mine = Watcher(world, await world.viewer("sales1"))
    theirs = Watcher(world, await world.viewer("sales1", "beta"), world.stores["beta"])
    await mine.open(), await theirs.open()
    person = world.person("sales1").id
    counts = [world.hub.fanout.count_of(world.stores[name].id, person) for name in ("demo", "beta")]
    assert counts == [1, 1]
    await world.owned("sales1", "beta")
    await world.stores["beta"].write(
        people.suspend, Viewer.system("test"), world.person("sales2", "beta").id, version=1
    )
    await settled(world)
    assert mine.take() == [] and [f["event"] for f in theirs.take()] == ["lead.entered"]
    await world.stores["beta"].write(people.suspend, Viewer.system("test"), person, version=1)
    await settled(world)
    assert theirs.closed and not mine.closed


async def test_an_activity_is_told_as_the_timeline_tells_it(world: World) -> None:
    client = await world.client("sales1")
    done = await world.owned("sales1")
    watched = await Watched(world).start()
    await world.store.write(actions.log_activity, await world.viewer("sales1"), done.lead.id, "call", text="a\nb")
    await watched.told()
    item = watched.by_name["sales1"].frames[-1]["data"]["item"]
    assert item == (await client.get(f"/api/v1/leads/{done.lead.id}/timeline")).json()["items"][0]
    assert item["kind"] == ActivityLogged.kind
