"""The live rooms: what screens are told, applied to what they had, is what a fresh read says."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from backend.access import signin
from backend.errors import HubError
from backend.leads import actions, queries
from backend.leads.hierarchy import move_person
from tests.world import World
from ui.live import Live, Seat

WATCHERS = (
    "admin",
    "manager1",
    "manager2",
    "sales1",
    "sales3",
    "cosales1",
    "warrior1",
    "partner1",
    "support1",
    "guest1",
)


class Window:
    """As much of a NiceGUI client as a seat needs; remembers where it was sent."""

    def __init__(self) -> None:
        self._socket_to_document_id: dict[str, str] = {}
        self.sent_to: str | None = None
        self.deleted = False
        self._deleting: list[Callable[[], Any]] = []

    def on_connect(self, callback: Callable[[], Any]) -> None: ...

    def on_delete(self, callback: Callable[[], Any]) -> None:
        self._deleting.append(callback)

    def open(self, to: str) -> None:
        self.sent_to = to

    def delete(self) -> None:
        self.deleted = True
        for callback in self._deleting:
            callback()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Screen:
    """A board as the browser keeps it: cards by id, counts from the server alone."""

    def __init__(self) -> None:
        self.cards: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, Any] = {}
        self.n: int | None = None
        self.messages: list[dict[str, Any]] = []

    def hear(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message.get("hb"):
            return
        assert self.n is None or message["n"] == self.n + 1, "a broadcast is missing"
        self.n = message["n"]
        for op, what in message["ops"]:
            if op == "up":
                self.cards[what["id"]] = what
            else:
                self.cards.pop(what, None)
        self.counts = message["counts"]


class Floor:
    """A live hub with a screen per watcher."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.screens: dict[str, Screen] = {}
        self.seats: dict[str, Seat] = {}
        self.live = Live(world.hub, self._emit)
        self.live.start()

    async def _emit(self, room: str, message: dict[str, Any]) -> None:
        for name, seat in self.seats.items():
            if str(seat.room) == room:
                self.screens[name].hear(message)

    async def watch(self, name: str) -> Window:
        viewer = await self.world.viewer(name)
        window = Window()
        self.screens[name] = Screen()
        self.seats[name] = self.live.sit(window, self.world.store, viewer)  # type: ignore[arg-type]
        return window

    async def settle(self) -> None:
        await self.world.hub.tail.drained()
        await self.live.drained()

    async def fresh(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        viewer = await self.world.viewer(name)

        def read(rx: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            board = queries.board(rx, viewer, limit=200)
            cards = [queries.card(lead, rx, viewer.view) for c in board.columns.values() for lead in c.items]
            return {card["id"]: card for card in cards}, {s: c.n for s, c in board.columns.items()}

        return await self.world.store.read(read)


@pytest.fixture
async def floor(world: World):  # type: ignore[no-untyped-def]
    floor = Floor(world)
    yield floor
    await floor.live.stop()


async def test_screens_of_every_role_equal_a_fresh_read_after_any_changes(floor: Floor) -> None:
    world, rng = floor.world, random.Random(5)
    for name in WATCHERS:
        await floor.watch(name)
    leads = [(await world.lead("admin", firm_name=f"Firm {i}", value=100 * i)).lead.id for i in range(20)]
    for _ in range(25):
        await asyncio.gather(*[_something(world, rng, leads) for _ in range(8)])
        await floor.settle()
    for name in WATCHERS:
        cards, counts = await floor.fresh(name)
        assert floor.screens[name].cards == cards, name
        told = floor.screens[name].counts
        assert {status: told.get(status, [0])[0] for status in counts} == counts, name


async def _something(world: World, rng: random.Random, leads: list[int]) -> None:
    actor = await world.viewer(rng.choice(("admin", "manager1", "sales1", "sales2", "sales3", "warrior1")))
    lead = rng.choice(leads)
    found = await world.store.read(queries.lead, await world.viewer("admin"), lead)
    version = found.row.version
    statuses = ("contacted", "qualified", "demo", "proposal", "trial", "lost", "unqualified")
    steps: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (actions.move, (lead, rng.choice(statuses)), {"version": version, "reason": "Budget"}),
        (
            actions.assign,
            (lead, {"salesperson_id": world.person(rng.choice(("sales1", "sales3"))).id}),
            {"version": version},
        ),
        (
            actions.assign,
            (lead, {"partner_company_id": world.person("partner1").partner_company_id}),
            {"version": version},
        ),
        (actions.assign, (lead, {"support_id": world.person("support1").id}), {"version": version}),
        (actions.assign, (lead, {"warrior_id": world.person("warrior1").id}), {"version": version}),
        (
            actions.edit,
            (lead, {"city": rng.choice(("Rome", "Lyon")), "value": rng.randrange(9000)}),
            {"version": version},
        ),
        (actions.archive if found.row.archived_at is None else actions.restore, (lead,), {"version": version}),
        (actions.log_activity, (lead, "call"), {"minutes": 5}),
    ]
    action, args, kwargs = rng.choice(steps)
    try:
        await world.store.write(action, actor, *args, **kwargs)
    except HubError:
        return  # refusals are part of the day; they must leave nothing on any screen


async def test_a_burst_is_one_broadcast(floor: Floor) -> None:
    await floor.watch("admin")
    await floor.settle()
    await asyncio.gather(*[floor.world.lead("admin", firm_name=f"Firm {i}") for i in range(30)])
    await floor.settle()
    told = [m for m in floor.screens["admin"].messages if m.get("ops")]
    assert sum(len(m["ops"]) for m in told) == 30
    assert len(told) <= 4


async def test_who_loses_his_session_is_shown_out_at_once_and_hears_nothing_more(floor: Floor) -> None:
    world = floor.world
    session = await world.session("sales1", platform="web")
    window = await floor.watch("sales1")
    seat = floor.seats["sales1"]
    object.__setattr__(seat.viewer, "session_id", session.id)
    await world.store.write(signin.end_session, await world.viewer("admin"), session.id, "suspended")
    await world.hub.tail.drained()
    await asyncio.sleep(0)  # the task that shows him out has had its first turn
    assert window.sent_to == "/signin"
    await world.owned("sales1")
    await floor.settle()
    assert not [m for m in floor.screens["sales1"].messages if m.get("ops")]
    assert window.deleted


async def test_whose_rights_change_starts_again(floor: Floor) -> None:
    world = floor.world
    window = await floor.watch("sales1")
    person = world.person("sales1")
    await world.store.write(
        move_person, await world.viewer("admin"), person.id, version=1, manager_id=world.person("manager2").id
    )
    await floor.settle()
    assert window.sent_to == "/" and window.deleted


async def test_an_empty_room_is_forgotten(floor: Floor) -> None:
    window = await floor.watch("guest1")
    store = floor.world.store
    assert store.pins == 1 and floor.live.online(store.id) == {floor.world.person("guest1").id}
    window.delete()
    assert store.pins == 0 and not floor.live.online(store.id)
