"""Ten thousand random operations of every role, with streams that break and resume: nothing leaked, lost, doubled or out of order."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from backend.access.roles import VIEWS, Role
from backend.access.scope import People, Person, Viewer, people_of
from backend.channels.simulate import text_message
from backend.channels.whatsapp import whatsapp
from backend.errors import HubError
from backend.events import ActivityLogged, LeadFact, MessageReceived, Noticed, RightsChanged
from backend.inbox import deliveries
from backend.leads import actions, hierarchy, reach
from backend.leads.changes import load
from backend.leads.fields import LeadRow, Shares
from backend.store import journal
from backend.store.journal import Journal, Recorded
from backend.store.transactions import Tx
from tests.sight import sees
from tests.streams.watching import Watcher, everybody, number_of, settled
from tests.world import ACCOUNTS, World

OPERATIONS = 10_000
TOGETHER = 40
LEADS = 160
STATUSES = ("contacted", "qualified", "demo", "proposal", "trial", "won", "lost", "unqualified")


# The model ---------------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """A fact, and who saw its lead just before and just after it. `loose`: between a move and its re-keying."""

    recorded: Recorded
    before: frozenset[int]
    after: frozenset[int]
    loose: bool

    def name_for(self, person: Person, view: str, team: int | None) -> str | None:
        """The name of the frame that somebody is owed; None: nothing."""
        fact = self.recorded.fact
        if isinstance(fact, Noticed):
            return "notice" if fact.person == person.id else None
        was, now = person.id in self.before, person.id in self.after
        if not isinstance(fact, LeadFact) or not (was or now):
            return None
        if not (was and now):
            return "lead.entered" if now else "lead.left"
        columns = {c.removesuffix("_id") for c in fact.changes}
        if isinstance(fact, ActivityLogged | MessageReceived):
            kept_from = isinstance(fact, ActivityLogged) and view == "standard" and fact.team not in (None, team)
            if view in ("full", "standard", "partner") and not kept_from:
                return "timeline.added"
            return "lead.updated" if columns & VIEWS[view] else None
        return "lead.updated" if fact.changes else None


@dataclass
class Floor:
    """All rows as the operations leave them, kept in the writer's thread; what was told, in the order of the commits."""

    rows: dict[int, tuple[LeadRow, Shares]] = field(default_factory=dict)
    people: People = field(default_factory=People)
    loose: bool = False
    owed: dict[int, Told] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    """`told[n - first]` has the number n."""
    first: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def act(self, tx: Tx, choose: "Choose") -> Any:
        """An operation, chosen as it runs, and what the model makes of its facts. Runs in the writer's thread."""
        action, args, kwargs = choose(self, people_of(tx))
        start = len(tx.owes(Journal).facts)
        try:
            value = tx.attempt(action, *args, **kwargs)
        except HubError as refused:
            self.outcomes[type(refused).__name__] += 1
            assert len(tx.owes(Journal).facts) == start, "a refusal left a fact behind"
            return None
        self.outcomes[action.__name__] += 1
        self._follow(tx, tx.owes(Journal).facts[start:])
        return value

    def _follow(self, tx: Tx, facts: list[Recorded]) -> None:
        old, self.people = self.people, people_of(tx)
        self.loose = self.loose or any(isinstance(f.fact, RightsChanged) for f in facts)
        for recorded in facts:
            before = self.who(self.rows.get(recorded.lead or 0), old, self.people)
            if isinstance(recorded.fact, LeadFact) and recorded.lead is not None:
                self.rows[recorded.lead] = recorded.row
            after = self.who(self.rows.get(recorded.lead or 0), self.people)
            self.owed[id(recorded)] = Told(recorded, before, after, self.loose)
        for lead in {f.lead for f in facts if f.lead is not None}:
            assert load(tx, lead) == self.rows[lead], "a fact did not carry the row that was written"

    def who(self, kept: tuple[LeadRow, Shares] | None, *among: People) -> frozenset[int]:
        if kept is None:
            return frozenset()
        return frozenset(p.id for people in among for p in people.by_id.values() if sees(p, *kept, people))

    def hear(self, company: int, facts: list[Recorded], people: People) -> None:
        """The tail's listener: every fact, in order; those of the clock's own re-keying are not ours."""
        for recorded in facts:
            self.first = self.first or recorded.number
            assert recorded.number == self.first + len(self.told), "the tail has skipped a number"
            everyone = self.who(self.rows.get(recorded.lead or 0), self.people)
            self.told.append(self.owed.pop(id(recorded), None) or Told(recorded, everyone, everyone, True))

    def at(self, number: int) -> Told:
        return self.told[number - self.first]

    def expected(self, watcher: Watcher, after: int, to: int, replays: list[tuple[int, int]]) -> list[tuple[int, str]]:
        """(number, name) of the frames that a watcher is owed for `after < number <= to`."""
        person = self.people.by_id[watcher.viewer.person_id or 0]
        found = []
        for number in range(max(after + 1, self.first), to + 1):
            told = self.at(number)
            name = told.name_for(person, watcher.viewer.view, team_of(person, self.people))
            replay = next((r for r in replays if r[0] < number <= r[1]), None)
            if name and (replay is None or name == "notice" or self._worth(person, told, name, replay[1])):
                found.append((number, name))
        return found

    def _worth(self, person: Person, told: Told, name: str, head: int) -> bool:
        """In a replay: of a lead that he sees no longer, only the last `left`."""
        lead, number = told.recorded.lead, told.recorded.number
        later = [t for t in self.told[number - self.first : head - self.first + 1] if t.recorded.lead == lead]
        moves = [t for t in later if isinstance(t.recorded.fact, LeadFact)]
        if moves and person.id in moves[-1].after:
            return True
        lefts = [t for t in moves if person.id in t.before and person.id not in t.after]
        return name == "lead.left" and lefts[-1] is told


def team_of(person: Person, people: People) -> int | None:
    """Whose team somebody's reach key is of: not that of a warrior who sees for his whole partner company."""
    if person.role == "WARRIOR":
        sales = people.by_id.get(person.salesperson_id or 0) if person.data_visibility == "Own" else None
        return sales.manager_id if sales else None
    return {"MANAGER": person.id, "SALESPERSON": person.manager_id}.get(person.role)


# The operations ------------------------------------------------------------------------------------------------------------

Chosen = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]
Choose = Callable[[Floor, People], Chosen]


class Chance:
    """Chooses operations: mostly by somebody who sees the lead and knows its version, not always."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = Random(seed)
        self.bodies: list[bytes] = []

    def __call__(self, floor: Floor, people: People) -> Chosen:
        rng = self.rng
        everybody = list(people.by_id.values())
        if not floor.rows or (rng.random() < 0.1 and len(floor.rows) < LEADS):
            return self.capture(rng.choice(everybody), people)
        if rng.random() < 0.12:
            return self.message()
        if rng.random() < 0.003:
            return self.person(people)
        lead = rng.choice(list(floor.rows))
        row, shares = floor.rows[lead]
        seers = [p for p in everybody if sees(p, row._replace(archived_at=None), shares, people)]
        busy = [p for p in seers if p.role not in ("GUEST", "INTEGRATION", "PARTNER", "CUSTOMER_SUCCESS")]
        person = rng.choice((busy or seers or everybody) if rng.random() < 0.85 else everybody)
        viewer = Viewer.of(person, people)
        version = row.version if rng.random() < 0.95 else row.version - 1
        return self.of_lead(floor, people, viewer, row, version)

    def of_lead(self, floor: Floor, people: People, viewer: Viewer, row: LeadRow, version: int) -> Chosen:
        rng = self.rng
        if row.archived_at is not None and rng.random() < 0.7:
            return actions.restore, (viewer, row.id), {"version": version}
        sales = [p.id for p in people.by_id.values() if p.role == "SALESPERSON"]
        match rng.choices(("edit", "move", "assign", "share", "archive", "undo", "log", "place"), self.WEIGHTS)[0]:
            case "edit":
                return actions.edit, (viewer, row.id, self.fields()), {"version": version}
            case "move":
                to = {"reason": "Budget", "firm_name": "Firm", "version": version}
                return actions.move, (viewer, row.id, rng.choice(STATUSES)), to
            case "assign":
                return actions.assign, (viewer, row.id, self.owners(people, sales)), {"version": version}
            case "share":
                return actions.share, (viewer, row.id, rng.sample(sales, rng.randrange(3))), {"version": version}
            case "archive":
                return actions.archive, (viewer, row.id), {"version": version}
            case "undo":
                recent = [t.recorded for t in floor.told[-200:] if isinstance(t.recorded.fact, LeadFact)]
                recent = [r for r in recent if r.lead and floor.rows[r.lead][0].version == r.version] or recent[-1:]
                target = rng.choice(recent) if recent else None
                actor = people.by_id.get((target.actor or 0) if target else 0)
                return actions.undo, (Viewer.of(actor, people) if actor else viewer, target.number if target else 1), {}
            case "log":
                text = {"text": rng.choice(("", "Said yes\nthen no")), "minutes": 3}
                return actions.log_activity, (viewer, row.id, rng.choice(("call", "note"))), text
            case _:
                near = {"after": rng.choice(list(floor.rows)), "version": version}
                return actions.place, (viewer, row.id), near

    WEIGHTS = (22, 26, 20, 10, 5, 6, 10, 4)

    def fields(self) -> dict[str, Any]:
        rng = self.rng
        given = {
            "name": rng.choice(("Ada", "Grace 🙂", "Zoë\u2028Ltd", "+447700900100")),
            "city": rng.choice(("Kraków", "Leeds", None)),
            "value": rng.choice((None, 5, 1200)),
            "comments": rng.choice((None, "a", "two\nlines")),
            "phone": rng.choice((None, f"+4477009001{rng.randrange(40):02}")),
        }
        return {name: given[name] for name in rng.sample(sorted(given), rng.randrange(1, 4))}

    def owners(self, people: People, sales: list[int]) -> dict[str, int | None]:
        rng = self.rng
        of = {
            "salesperson_id": [*sales, None],
            "warrior_id": [*(p.id for p in people.by_id.values() if p.role == "WARRIOR"), None],
            "partner_company_id": [*people.partner_companies, None],
            "support_id": [*(p.id for p in people.by_id.values() if p.role == "CUSTOMER_SUCCESS"), None],
        }
        return {name: rng.choice(of[name]) for name in rng.sample(sorted(of), rng.choice((1, 1, 1, 2)))}

    def capture(self, person: Person, people: People) -> Chosen:
        return actions.capture, (Viewer.of(person, people), {"firm_name": "New", **self.fields()}), {}

    def message(self) -> Chosen:
        rng = self.rng
        raw = text_message(
            ACCOUNTS["demo"], f"4477009001{rng.randrange(40):02}", "Priya", "Hello", self.world.time(), rng
        )
        if self.bodies and rng.random() < 0.1:
            raw = rng.choice(self.bodies)
        self.bodies.append(raw)
        return deliveries.receive, ("whatsapp", raw, deliveries.number(whatsapp.read(raw, self.world.time()))), {}

    def person(self, people: People) -> Chosen:
        rng = self.rng
        of = {role: [p for p in people.by_id.values() if p.role == role] for role in Role}
        kind = rng.choice(("sales", "warrior", "support"))
        if kind == "sales":
            person, places = rng.choice(of[Role.SALESPERSON]), {"manager_id": rng.choice(of[Role.MANAGER]).id}
        elif kind == "warrior":
            person = rng.choice(of[Role.WARRIOR])
            places = {
                "salesperson_id": rng.choice(of[Role.SALESPERSON]).id,
                "data_visibility": rng.choice(("Own", "All")),
            }
        else:
            person = next(p for p in people.by_id.values() if p.username == "support1")
            places = {"role": "MANAGER" if person.role == "CUSTOMER_SUCCESS" else "CUSTOMER_SUCCESS"}
        return hierarchy.move_person, (Viewer.system("test"), person.id), {"version": person.version, **places}


# The test ------------------------------------------------------------------------------------------------------------------


@dataclass
class Followed:
    """A watcher, and up to where its frames have been compared with the model."""

    watcher: Watcher
    compared: int = 0
    frames: int = 0
    said: int = 0

    def compare(self, floor: Floor) -> bool:
        """Every frame is of a lead that he could see; and they are exactly those that he is owed, where that is certain."""
        watcher = self.watcher
        frames, said = watcher.frames[self.frames :], watcher.said[self.said :]
        me = watcher.viewer.person_id or 0
        for frame in frames:
            told = floor.at(number_of(frame["id"]))
            assert str(told.recorded.lead) == frame["data"]["lead"]
            mine = isinstance(told.recorded.fact, Noticed) and told.recorded.fact.person == me
            assert mine or me in told.before | told.after, f"{watcher.viewer.name} was told of {frame}"
        to = floor.first + len(floor.told) - 1 if watcher.subscriber else number_of(watcher.last)
        starts = [number_of(s["id"]) for s in said if s["event"] == "hello"]
        replays = list(zip(starts, [number_of(s["id"]) for s in said if s["event"] == "ready"], strict=True))
        certain = not any(s["event"] == "reset" for s in said)
        certain = certain and not any(
            t.loose for t in floor.told[max(0, self.compared + 1 - floor.first) : to + 1 - floor.first]
        )
        if certain:
            got = [(number_of(f["id"]), f["event"]) for f in frames]
            assert got == floor.expected(watcher, self.compared, to, replays)
        self.compared, self.frames, self.said = to, len(watcher.frames), len(watcher.said)
        return certain


async def test_ten_thousand_operations_leave_every_stream_equal_to_a_fresh_look(world: World) -> None:
    """No leak, no loss, no doubling, in order (invariants 2 and 3), across breaks and resumes, with a quarter refused."""
    floor, chance, rng = Floor(), Chance(world, 11), Random(12)
    watched = {name: Watcher(world, viewer) for name, viewer in (await everybody(world)).items()}
    floor.people = await world.store.read(people_of)
    await settled(world)
    followed = []
    for watcher in watched.values():
        await watcher.look()
        followed.append(Followed(await watcher.open(), watcher.floor))

    def hear(company: int, facts: list[Recorded], people: People) -> None:
        floor.hear(company, facts, people)
        for f in followed:
            if f.watcher.subscriber and rng.random() < 0.01:  # in the middle of it all
                f.watcher.take()
                f.watcher.cut()

    world.hub.tail.listeners.append(hear)
    certain = 0
    for done in range(0, OPERATIONS, TOGETHER):
        writes = [world.store.write(floor.act, chance) for _ in range(TOGETHER)]
        for f in followed:
            if f.watcher.subscriber and rng.random() < 0.03:
                f.watcher.cut()  # with what was queued for him
        back = [f.watcher.open() for f in followed if f.watcher.subscriber is None and rng.random() < 0.3]
        await asyncio.gather(*writes, *back)
        await world.hub.pay_rekeys(world.store)
        await settled(world)
        every = done % 800 == 0 or done + TOGETHER == OPERATIONS
        for f in followed:
            if every and f.watcher.subscriber is None:
                await f.watcher.open()
            f.watcher.take()
            certain += f.compare(floor)
            if f.watcher.stale:
                await f.watcher.look()
            if every:
                await f.watcher.agrees()
        floor.loose = False
    refused = OPERATIONS - sum(floor.outcomes[a.__name__] for a in EVERY)
    assert 0.15 < refused / OPERATIONS < 0.4, floor.outcomes
    assert all(floor.outcomes[a.__name__] > 5 for a in EVERY), floor.outcomes
    assert certain > 0.5 * len(followed) * OPERATIONS / TOGETHER
    assert await world.store.read(reach.check) == [] and await world.store.read(journal.check) == []


EVERY = (
    *(actions.capture, actions.edit, actions.move, actions.place, actions.assign, actions.share, actions.archive),
    *(actions.restore, actions.log_activity, actions.undo, deliveries.receive, hierarchy.move_person),
)
