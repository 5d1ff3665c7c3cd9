"""One definition of visibility: lists, details, search, board, timeline, counts, the stored keys and the streams agree on it."""

from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from backend.access.roles import TELLS_TIMELINE, Role, Status
from backend.access.scope import EVERYTHING, People, Person, Viewer, lead_reach, people_of, reach_of
from backend.errors import Invalid, NotAllowed, NotFound
from backend.events import LeadCaptured, LeadShared
from backend.leads import actions, hierarchy, queries, reach
from backend.leads.changes import change, create
from backend.leads.fields import LeadRow, Shares
from backend.leads.queries import Filter, Lead
from backend.leads.reach import placed, within
from backend.store.tables.leads import lead_access, lead_counts
from backend.store.transactions import Rx, Tx
from tests.sight import sees
from tests.streams.watching import Watcher, everybody, settled
from tests.world import World

LEADS = 150
AT = 1_795_000_000_000_000


def a_lead(rng: Random, id: int, people: People) -> tuple[LeadRow, Shares]:
    """A lead in any state, owned by any mixture of people."""
    of = {role: [p.id for p in people.by_id.values() if p.role == role] for role in Role}

    def one(candidates: list[int], share: float = 0.5) -> int | None:
        return rng.choice(candidates) if candidates and rng.random() < share else None

    row = LeadRow(
        **{
            **dict.fromkeys(LeadRow._fields),
            **{
                "id": id,
                "version": 1,
                "status": rng.choice(list(Status)).value,
                "status_at": AT,
                "rank": rng.randrange(9),
            },
            **{"name": f"Needle {id}", "source": "Manual", "currency": "EUR", "value": rng.randrange(5) or None},
            **{"unread": 0, "created_at": AT, "updated_at": AT, "archived_at": AT if rng.random() < 0.1 else None},
            "salesperson_id": one(of[Role.SALESPERSON]),
            "warrior_id": one(of[Role.WARRIOR]),
            "partner_company_id": one(list(people.partner_companies)),
            "support_id": one(of[Role.CUSTOMER_SUCCESS]),
        }
    )
    shares = {(person, "share") for person in of[Role.SALESPERSON] if rng.random() < 0.15}
    shares |= {(person, "ticket") for person in of[Role.CUSTOMER_SUCCESS] if rng.random() < 0.15}
    return row, tuple(sorted(shares))


def a_floor(rng: Random) -> People:
    """Twenty people of any role in any place, references to people of another role or to nobody included."""

    def one(id: int) -> Person:
        places = {name: rng.choice((None, *range(1, 21))) for name in ("manager_id", "salesperson_id")}
        role = rng.choice((*(r.value for r in Role), "AUDITOR", "WARRIOR", "SALESPERSON"))
        sees_all = rng.choice(("Own", "All"))
        return Person(
            id, 1, "", "", None, role, "active", *places.values(), rng.choice((None, 1, 2)), sees_all, None, 0
        )

    by_id = {id: one(id) for id in range(1, 21)}
    managers = frozenset(p.id for p in by_id.values() if p.role == Role.MANAGER)
    supporters = frozenset(p.id for p in by_id.values() if p.role == Role.CUSTOMER_SUCCESS)
    return People(by_id, {1: "One", 2: "Two"}, managers, supporters)


def test_the_key_of_a_person_is_among_the_keys_of_a_lead_exactly_when_he_sees_it() -> None:
    """Invariant 16: a hundred thousand random pairs against a plain second definition."""
    rng, visible = Random(16), 0
    for _ in range(500):
        people = a_floor(rng)
        for id in range(1, 11):
            row, shares = a_lead(rng, id, people)
            keys = lead_reach(placed(row, True), shares, people)
            for person in people.by_id.values():
                key = reach_of(person)
                by_key = row.archived_at is None if key in EVERYTHING else within(key, keys)
                assert by_key == sees(person, row, shares, people), (person, row, shares)
                visible += by_key
    assert 10_000 < visible < 90_000


def furnish(tx: Tx, seed: int) -> dict[int, Lead]:
    rng, people, machine = Random(seed), people_of(tx), Viewer.system("test")
    leads = {}
    for _ in range(LEADS):
        row, shares = a_lead(rng, tx.id(), people)
        create(tx, machine, row, LeadCaptured())
        done = change(tx, machine, row, (), {}, lambda c: LeadShared(changes=c), new_shares=shares, touch=False)
        leads[row.id] = Lead(done.lead, done.shares)
    return leads


def everything_of(rx: Rx, viewer: Viewer, leads: dict[int, Lead]) -> dict[str, set[int]]:
    """By each way of asking: the leads that the viewer finds."""
    columns = {name: column(rx, viewer, name) for name in queries.columns_of(viewer)}
    for name, (n, value, items) in columns.items():
        assert n == len(items) and value == sum(leads[i].row.value or 0 for i in items), name
    stored = {i for (i,) in rx.all(select(lead_access.c.lead_id).where(lead_access.c.key == viewer.reach))}
    live = {id for id, lead in leads.items() if lead.row.archived_at is None}
    return {
        "list": listed(rx, viewer, Filter()),
        "search": listed(rx, viewer, Filter(q="needle")),
        "statuses": set().union(*(listed(rx, viewer, Filter(statuses=(s.value,))) for s in Status)),
        "board": {i for _, _, items in columns.values() for i in items},
        "detail": {id for id in live if answers(queries.lead, rx, viewer, id)},
        "timeline": {id for id in live if answers(queries.timeline, rx, viewer, id, limit=1)},
        "stored keys": live if viewer.reach in EVERYTHING else stored,
        "truths": {id for _, id in queries.truths(rx, {(viewer.reach, id) for id in leads})[0]},
    }


def listed(rx: Rx, viewer: Viewer, wanted: Filter) -> set[int]:
    found: list[int] = []
    after = None
    while True:
        page = queries.leads_page(rx, viewer, wanted, limit=7, after=after)
        found += [lead.row.id for lead in page.items]
        after = page.after
        if after is None:
            assert found == sorted(set(found), reverse=True), "pages overlap or are out of order"
            return set(found)


def column(rx: Rx, viewer: Viewer, status: str) -> tuple[int, int, set[int]]:
    found: list[tuple[int, int]] = []
    after = queries.TOP
    while True:
        part = queries.board(rx, viewer, limit=7, status=status, after=after).columns[status]
        found += [(lead.row.rank, lead.row.id) for lead in part.items]
        if part.after is None:
            assert found == sorted(set(found))
            return part.n, part.value, {id for _, id in found}
        after = part.after


def answers(query: Any, rx: Rx, viewer: Viewer, *args: Any, **kwargs: Any) -> bool:
    try:
        query(rx, viewer, *args, **kwargs)
    except NotFound:
        return False
    except NotAllowed:  # said only to who sees the lead
        assert viewer.view not in TELLS_TIMELINE
    return True


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_way_of_asking_finds_the_same_leads(world: World, seed: int) -> None:
    """List, search, board with its counts, detail, timeline, stored keys and the stream, for random (lead, person) pairs."""
    viewers = await everybody(world)
    watchers = {}
    for name, viewer in viewers.items():
        watchers[name] = await Watcher(world, viewer).open()
    people = await world.store.read(people_of)
    leads: dict[int, Lead] = await world.store.write(furnish, seed)
    await settled(world)
    for name, viewer in viewers.items():
        person = people.by_id[viewer.person_id or 0]
        expected = {id for id, lead in leads.items() if sees(person, *lead, people)}
        asked = await world.store.read(everything_of, viewer, leads)
        watchers[name].take()
        if watchers[name].stale:
            await watchers[name].look()
        asked["stream"] = {int(id) for id in watchers[name].rows}
        assert {how: found ^ expected for how, found in asked.items() if found != expected} == {}, name
        archived = {
            i for i, lead in leads.items() if sees(person, lead.row._replace(archived_at=None), lead.shares, people)
        }
        archived &= {i for i, lead in leads.items() if lead.row.archived_at is not None}
        assert await world.store.read(listed, viewer, Filter(archived=True)) == archived, name
    assert await world.store.read(reach.check) == []


async def test_the_verifier_names_what_is_wrong(world: World) -> None:
    """Access and counts that were tampered with are found, each in words."""
    done = await world.owned("sales1", value=5)
    assert await world.store.read(reach.check) == []
    wrongs = (
        (delete(lead_access).where(lead_access.c.key == "co"), "access is"),
        (insert(lead_access).values(key="w:1", lead_id=done.lead.id, status="demo", rank=1), "access is"),
        (update(lead_counts).where(lead_counts.c.key == "all").values(n=7), "count of all"),
        (insert(lead_access).values(key="w:1", lead_id=4, status="demo", rank=1), "without a lead"),
    )

    def spoil(tx: Tx) -> None:
        compiled = [w.compile(compile_kwargs={"literal_binds": True}).string for w, _ in wrongs]
        for statement in compiled:
            tx._connection.execute(statement)

    await world.store.write(spoil)
    found = await world.store.read(reach.check)
    for _, words in wrongs:
        assert any(words in line for line in found), (words, found)


async def test_a_refused_action_leaves_access_and_counts_as_they_were(world: World) -> None:
    """Two steps of one action: the second is refused, so the first is not owed either."""
    done = await world.owned("sales1", value=5)
    admin = await world.viewer("admin")

    def both(tx: Tx) -> None:
        actions.assign(tx, admin, done.lead.id, {"salesperson_id": world.person("sales3").id}, version=1)
        actions.edit(tx, admin, done.lead.id, {"email": "nonsense"}, version=2)

    with pytest.raises(Invalid):
        await world.store.write(both)
    assert await world.store.read(reach.check) == []
    assert await world.store.read(listed, await world.viewer("sales1"), Filter()) == {done.lead.id}
    assert await world.store.read(listed, await world.viewer("sales3"), Filter()) == set()


async def test_between_a_move_and_its_rekeying_too_little_is_seen_never_too_much(world: World) -> None:
    done = await world.owned("sales1")
    admin = await world.viewer("admin")
    viewers = [await world.viewer(name) for name in ("manager1", "manager2")]

    async def seen() -> list[bool]:
        return [await world.store.read(listed, v, Filter()) == {done.lead.id} for v in viewers]

    assert await seen() == [True, False]

    def moved(tx: Tx) -> None:
        hierarchy.move_person(tx, admin, world.person("sales1").id, version=1, manager_id=world.person("manager2").id)

    await world.store.write(moved)
    assert (await seen())[0] is False
    await world.hub.pay_rekeys(world.store)
    assert await seen() == [False, True]
    assert await world.store.read(reach.check) == []


async def test_closing_the_pool_hides_it_and_opening_it_shows_it_again(world: World) -> None:
    done = await world.lead("partner1")
    manager = await world.viewer("manager1")
    for is_open in (False, True):
        await world.store.write(hierarchy.change_settings, await world.viewer("admin"), pool_open=is_open)
        await world.hub.pay_rekeys(world.store)
        assert await world.store.read(listed, manager, Filter()) == ({done.lead.id} if is_open else set())
        assert await world.store.read(reach.check) == []
    with pytest.raises(NotAllowed):
        await world.store.write(hierarchy.change_settings, manager, pool_open=False)
