"""What the frames make of a list is what a fresh look gives: for every action of the product and every role."""

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

import backend
from backend.access import companies, people, signin
from backend.access.scope import Viewer
from backend.channels.contract import IdentityMoved, Noticed, Reacted, Said, Sender, StateReported
from backend.channels.simulate import text_message
from backend.channels.whatsapp import whatsapp
from backend.inbox import accounts, deliveries
from backend.inbox import actions as inbox
from backend.leads import actions, hierarchy
from backend.leads.changes import Done, load
from backend.store.secrets import hashed
from backend.store.transactions import Tx
from tests.streams.watching import Watcher, everybody, settled
from tests.world import ACCOUNTS, World

OTHERS = (
    *("backend.leads.hierarchy", "backend.inbox.deliveries", "backend.inbox.accounts"),
    *("backend.access.people", "backend.access.signin", "backend.access.companies"),
)
OF_CONTROL = {  # written to the control database, which no stream follows
    *("companies.create", "companies.activate", "companies.route_channel", "companies.keep_unrouted"),
    "signin.set_credential",
}


def every_action() -> set[str]:
    names = {m.name for m in pkgutil.walk_packages(backend.__path__, "backend.") if m.name.endswith(".actions")}
    found = set()
    for name in sorted(names | set(OTHERS)):
        for function, value in inspect.getmembers(importlib.import_module(name), inspect.isfunction):
            first = next(iter(inspect.signature(value).parameters.values()), None)
            if value.__module__ != name or function.startswith("_") or first is None or first.name != "tx":
                continue
            if first.annotation in (Tx, "Tx"):
                found.add(f"{'.'.join(name.split('.')[1:])}.{function}")
    return found - {f"access.{name}" for name in OF_CONTROL}


class Scene:
    """A floor with leads of every kind. `run(action, ...)` writes as a person, an admin unless said otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = Random(7)
        self.leads: dict[str, int] = {}

    def id(self, name: str) -> int:
        return self.world.person(name).id

    @property
    def partner(self) -> int:
        partner = self.world.person("partner1").partner_company_id
        assert partner is not None
        return partner

    async def run(self, action: Callable[..., Any], *args: Any, by: str = "admin", **kwargs: Any) -> Any:
        return await self.world.store.write(action, await self.world.viewer(by), *args, **kwargs)

    async def machine(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self.world.store.write(action, Viewer.system("setup"), *args, **kwargs)

    async def version(self, lead: str) -> dict[str, int]:
        found = await self.world.store.read(load, self.leads[lead])
        assert found is not None
        return {"version": found[0].version}

    async def on(self, lead: str, action: Callable[..., Any], *args: Any, by: str = "admin", **kwargs: Any) -> Done:
        done: Done = await self.run(action, self.leads[lead], *args, by=by, **kwargs, **await self.version(lead))
        return done

    async def furnish(self) -> None:
        for name, owner, given in (
            ("own", "sales1", {"value": "120.50", "phone": "+447700900111", "comments": "Calls back\nafter five"}),
            ("of warrior", "warrior3", {}),
            ("of partner", "partner1", {}),
            ("shared", "sales2", {"email": "a@example.com"}),
            ("archived", "sales3", {"phone": "+447700900222"}),
            ("won", "sales1", {}),
            ("unqualified", "sales2", {}),
        ):
            fields = {"firm_name": name.capitalize(), **given}
            self.leads[name] = (await self.run(actions.capture, fields, by=owner)).lead.id
        self.leads["pool"] = (await self.run(actions.capture, {"name": "Nobody's"}, by="partner1")).lead.id
        await self.on("pool", actions.assign, {"partner_company_id": None})
        await self.on("own", actions.assign, {"warrior_id": self.id("warrior1")})
        await self.on("shared", actions.share, [self.id("sales3")], by="sales2")
        await self.on("archived", actions.archive)
        for status in ("demo", "won"):
            await self.on("won", actions.move, status)
        await self.on("won", actions.assign, {"support_id": self.id("support1"), "partner_company_id": self.partner})
        await self.on("unqualified", actions.assign, {"warrior_id": self.id("warrior2")})
        await self.on("unqualified", actions.move, "unqualified", reason="Budget")
        await self.world.inbound(self.body("447700900111", "Hello"))

    def body(self, phone: str, text: str) -> bytes:
        return text_message(ACCOUNTS["demo"], phone, "Priya", text, self.world.time(), self.rng)

    def said(self, phone: str, text: str, *, outgoing: bool = False) -> Said:
        return Said(
            provider_id=f"wamid.{self.rng.random()}",
            sent_at=self.world.time(),
            sender=sender(phone),
            outgoing=outgoing,
            type="text",
            text=text,
        )

    async def move_person(self, name: str, **places: Any) -> None:
        person = (await self.world.store.read(people.people_of)).by_id[self.id(name)]
        await self.run(hierarchy.move_person, person.id, version=person.version, **places)


def sender(phone: str) -> Sender:
    return Sender(identities=(("wa_phone", phone),), phone=f"+{phone}", name="Priya")


Case = Callable[[Scene], Awaitable[Any]]
CASES: dict[str, list[Case]] = {}


def case(action: str) -> Callable[[Case], Case]:
    def add(run: Case) -> Case:
        CASES.setdefault(action, []).append(run)
        return run

    return add


# Leads ---------------------------------------------------------------------------------------------------------------------


@case("leads.actions.capture")
async def _(scene: Scene) -> None:
    await scene.run(actions.capture, {"firm_name": "By sales", "value": 1}, by="sales2")
    await scene.run(actions.capture, {"firm_name": "By warrior"}, by="warrior2")
    await scene.run(actions.capture, {"firm_name": "By partner"}, by="partner1")
    await scene.machine(actions.capture, {"phone": "+447700900333"})


@case("leads.actions.edit")
async def _(scene: Scene) -> None:
    fields = {
        "name": "Renamed",
        "phone": "+447700900444",
        "value": None,
        "comments": "Line\u2028and\nline",
        "city": "Łódź",
    }
    await scene.on("own", actions.edit, fields, by="sales1")
    await scene.on("of partner", actions.edit, {"next_followup_at": scene.world.time()}, by="partner1")
    await scene.on("archived", actions.edit, {"city": "Out of sight"})


@case("leads.actions.move")
async def _(scene: Scene) -> None:
    await scene.on("of warrior", actions.move, "unqualified", by="warrior3", reason="Budget")
    await scene.on("shared", actions.move, "demo", by="sales3", firm_name="Shared Ltd")
    await scene.on("won", actions.move, "qualified")


@case("leads.actions.place")
async def _(scene: Scene) -> None:
    await scene.on("own", actions.place, by="sales1", after=scene.leads["won"])


@case("leads.actions.assign")
async def _(scene: Scene) -> None:
    await scene.on("own", actions.assign, {"salesperson_id": scene.id("sales3")})
    await scene.on("own", actions.assign, {"salesperson_id": scene.id("sales1"), "warrior_id": None})
    await scene.on("pool", actions.assign, {"salesperson_id": scene.id("sales2")}, by="support1")
    await scene.on("shared", actions.assign, {"salesperson_id": scene.id("sales3")})


@case("leads.actions.assign")
async def back_into_the_pool(scene: Scene) -> None:
    await scene.on("pool", actions.assign, {"salesperson_id": None})


@case("leads.actions.share")
async def _(scene: Scene) -> None:
    await scene.on("of warrior", actions.share, [scene.id("sales1"), scene.id("sales3")], by="sales2")
    await scene.on("of warrior", actions.share, [scene.id("sales1")], by="sales2")


@case("leads.actions.archive")
async def _(scene: Scene) -> None:
    await scene.on("of partner", actions.archive)


@case("leads.actions.restore")
async def _(scene: Scene) -> None:
    await scene.on("of partner", actions.restore)


@case("leads.actions.log_activity")
async def _(scene: Scene) -> None:
    lead = scene.leads["of warrior"]
    await scene.run(actions.log_activity, lead, "call", by="sales2", outcome="Reached", minutes=4)
    await scene.run(actions.log_activity, lead, "note", by="manager1", text="Between us")
    await scene.run(actions.log_activity, lead, "note", by="sales1", text="Anyone's 🙂")


@case("leads.actions.undo")
async def _(scene: Scene) -> None:
    for action, given in (
        (actions.edit, [{"name": "For a moment"}]),
        (actions.assign, [{"salesperson_id": scene.id("sales3")}]),
        (actions.share, [[scene.id("sales2")]]),
        (actions.archive, []),
    ):
        done = await scene.on("own", action, *given)
        assert done.fact is not None
        await scene.run(actions.undo, done.fact.number)


# The hierarchy -------------------------------------------------------------------------------------------------------------


@case("leads.hierarchy.add_person")
async def _(scene: Scene) -> None:
    given = {"username": "manager3", "name": "Manager3", "role": "MANAGER"}
    await scene.run(hierarchy.add_person, given)


@case("leads.hierarchy.move_person")
async def a_salesperson_to_another_manager(scene: Scene) -> None:
    await scene.move_person("sales1", manager_id=scene.id("manager2"))


@case("leads.hierarchy.move_person")
async def a_warrior_to_another_salesperson(scene: Scene) -> None:
    await scene.move_person("warrior2", salesperson_id=scene.id("sales3"), data_visibility="All")


@case("leads.hierarchy.move_person")
async def somebody_to_another_role(scene: Scene) -> None:
    await scene.move_person("support1", role="MANAGER")


@case("leads.hierarchy.rekey_owed")
async def _(scene: Scene) -> None:
    await scene.machine(hierarchy.rekey_owed)


@case("leads.hierarchy.change_settings")
async def _(scene: Scene) -> None:
    await scene.run(hierarchy.change_settings, pool_open=False)


@case("leads.hierarchy.change_settings")
async def open_the_pool_again(scene: Scene) -> None:
    await scene.run(hierarchy.change_settings, pool_open=True)
    await scene.world.hub.pay_rekeys(scene.world.store)


# What comes in -------------------------------------------------------------------------------------------------------------


@case("inbox.actions.said")
async def _(scene: Scene) -> None:
    for phone in ("447700900111", "447700900222", "447700900555"):  # of a lead, of an archived one, of nobody
        await scene.world.store.write(inbox.said, "whatsapp", ACCOUNTS["demo"], scene.said(phone, "Hi"))
    answer = scene.said("447700900111", "On my way", outgoing=True)
    await scene.world.store.write(inbox.said, "whatsapp", ACCOUNTS["demo"], answer)


@case("inbox.actions.apply_unit")
async def _(scene: Scene) -> None:
    await scene.world.store.write(
        inbox.apply_unit, "whatsapp", ACCOUNTS["demo"], scene.said("447700900111", "emoji 👩‍👩‍👧")
    )


@case("inbox.actions.state_reported")
async def _(scene: Scene) -> None:
    report = StateReported(provider_id="wamid.1", state="delivered", at=scene.world.time())
    await scene.world.store.write(inbox.state_reported, "whatsapp", ACCOUNTS["demo"], report)


@case("inbox.actions.reacted")
async def _(scene: Scene) -> None:
    reaction = Reacted("wamid.2", sender("447700900111"), "wamid.1", "👍", scene.world.time())
    await scene.world.store.write(inbox.reacted, "whatsapp", ACCOUNTS["demo"], reaction)


@case("inbox.actions.identity_moved")
async def _(scene: Scene) -> None:
    moved = IdentityMoved("wamid.3", ("wa_phone", "447700900222"), ("wa_phone", "447700900223"))
    await scene.world.store.write(inbox.identity_moved, "whatsapp", ACCOUNTS["demo"], moved)


@case("inbox.actions.noticed")
async def _(scene: Scene) -> None:
    notice = Noticed("wamid.4", "quality", {})
    await scene.world.store.write(inbox.noticed, "whatsapp", ACCOUNTS["demo"], notice)


@case("inbox.deliveries.receive")
async def _(scene: Scene) -> None:
    raw = scene.body("447700900111", "once")
    for _ in range(2):  # the second time it is a duplicate
        await scene.world.inbound(raw)


@case("inbox.deliveries.settle")
async def _(scene: Scene) -> None:
    unit = scene.said("447700900666", "New here")
    await scene.world.store.write(deliveries.settle, "whatsapp", ACCOUNTS["demo"], unit)


@case("inbox.deliveries.retry_due")
async def _(scene: Scene) -> None:
    def put_off(tx: Tx) -> None:
        raw = scene.body("447700900777", "Later")
        deliveries.receive(tx, "whatsapp", raw, deliveries.number(whatsapp.read(raw, tx.now)))

    await scene.world.store.write(put_off)
    await scene.world.store.write(deliveries.retry_due)


@case("inbox.accounts.add_account")
async def _(scene: Scene) -> None:
    await scene.world.store.write(accounts.add_account, "whatsapp", "1", "Second number", b"sealed")


# People and sessions -------------------------------------------------------------------------------------------------------


@case("access.people.add")
async def _(scene: Scene) -> None:
    await scene.machine(people.add, {"username": "sales9", "name": "Sales9", "role": "SALESPERSON"})


@case("access.people.add_partner_company")
async def _(scene: Scene) -> None:
    await scene.world.store.write(people.add_partner_company, "Partner Two")


@case("access.people.change_place")
async def _(scene: Scene) -> None:
    person = scene.world.person("cosales1")
    await scene.machine(people.change_place, person.id, version=person.version, role="GUEST")


@case("access.people.suspend")
async def _(scene: Scene) -> None:
    await scene.machine(people.suspend, scene.id("guest1"), version=1)


@case("access.people.suspend")
async def and_let_in_again(scene: Scene) -> None:
    await scene.machine(people.suspend, scene.id("guest1"), version=2, state="active")


@case("access.signin.start_session")
async def _(scene: Scene) -> None:
    await scene.world.session("sales1")


@case("access.signin.refresh")
async def _(scene: Scene) -> None:
    await scene.world.store.write(
        signin.start_session, scene.id("sales2"), "mobile", refresh_hash=hashed("a"), end="oldest"
    )
    for _ in range(2):  # the second time it is stolen
        await scene.world.store.write(signin.refresh, hashed("a"), hashed("b"))


@case("access.signin.seen")
async def _(scene: Scene) -> None:
    session = await scene.world.session("sales1")
    await scene.world.store.write(signin.seen, session.id)


@case("access.signin.end_session")
async def _(scene: Scene) -> None:
    session = await scene.world.session("sales1")
    await scene.run(signin.end_session, session.id, by="sales1")


@case("access.signin.end_sessions")
async def _(scene: Scene) -> None:
    await scene.machine(signin.end_sessions, scene.id("sales1"), "password")


@case("access.companies.change_settings")
async def _(scene: Scene) -> None:
    await scene.machine(companies.change_settings, currency="GBP")


# The tests -----------------------------------------------------------------------------------------------------------------


def test_every_action_of_the_product_has_a_case() -> None:
    assert every_action() - set(CASES) == set(), "an action without a case: what does it do to a stream?"
    assert set(CASES) - every_action() == set(), "a case without its action"


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in CASES}))
async def test_live_equals_fresh_for_every_action_and_role(world: World, module: str) -> None:
    """Convergence (invariant 1): a list at c0 and the frames since are the list at c1, live and after a resume."""
    scene = Scene(world)
    await scene.furnish()
    viewers = await everybody(world)
    for name, runs in CASES.items():
        for run in runs if name.rpartition(".")[0] == module else ():
            await _check(scene, viewers, name, run)


async def _check(scene: Scene, viewers: dict[str, Viewer], name: str, run: Case) -> None:
    world = scene.world
    await settled(world)
    pairs = {who: (Watcher(world, viewer), Watcher(world, viewer)) for who, viewer in viewers.items()}
    for live, resumed in pairs.values():
        await live.look()
        await resumed.look()
        await live.open()
    await run(scene)
    await settled(world)
    for who, (live, resumed) in pairs.items():
        live.take()
        await resumed.open()
        for kind, watcher in (("live", live), ("resumed", resumed)):
            if watcher.closed:
                assert watcher.said[-1]["data"]["reason"] == "revoked"
                continue
            if watcher.stale:
                assert [s["data"]["reason"] for s in watcher.said if s["event"] == "reset"] == ["scope_changed"]
                await watcher.look()
            try:
                await watcher.agrees()
            except AssertionError as error:
                raise AssertionError(f"{name} ({run.__name__}), {who}, {kind}: {error}") from None
            watcher.cut()
