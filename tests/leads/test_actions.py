"""What can be done to a lead and by whom: the change, the fact, the audience; and that a refusal leaves nothing behind."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from backend.access import companies, people
from backend.access.scope import Viewer
from backend.errors import Conflict, HubError, Invalid, NotAllowed, NotFound, Stale
from backend.leads import actions, hierarchy, reach
from backend.leads.changes import Done
from backend.leads.queries import NEWEST, TOP, board, counts, timeline
from backend.store import journal
from backend.store.ids import MINUTE
from tests.world import NAMES, PASSWORD, World, contents

IN_REACH = [
    "admin",
    "manager1",
    "sales1",
    "cosales1",
    "warrior1",
    "warrior3",
    "partner1",
    "support1",
    "guest1",
    "integration1",
    "dev1",
]
"""Who sees the lead that `known_to_all` makes."""


@pytest.fixture
async def floor(world: World) -> World:
    """The world, with both companies leaving new leads in the pool."""
    await world.store.write(companies.change_settings, Viewer.system("test"), inbound="pool")
    return world


def id_of(world: World, name: str) -> int:
    return world.person(name).id


def partner_of(world: World) -> int:
    found = world.person("partner1").partner_company_id
    assert found is not None
    return found


async def act(world: World, who: str, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Done:
    done: Done = await world.store.write(action, await world.viewer(who), *args, **kwargs)
    return done


async def given_to(world: World, owner: str, **more: Any) -> Done:
    """A lead of the pool, given by the admin."""
    pool = await world.lead("admin")
    return await act(
        world, "admin", actions.assign, pool.lead.id, {"salesperson_id": id_of(world, owner), **more}, version=1
    )


async def known_to_all(world: World) -> Done:
    """A lead on trial of sales1, warrior1, Partner One and support1."""
    more = {"warrior_id": id_of(world, "warrior1"), "partner_company_id": partner_of(world)}
    done = await given_to(world, "sales1", **more, support_id=id_of(world, "support1"))
    return await act(world, "admin", actions.move, done.lead.id, "trial", version=2)


async def refused(
    world: World, error: type[HubError], who: str, action: Callable[..., Any], *args: Any, **kwargs: Any
) -> HubError:
    """The action is refused with exactly this error, and both databases are what they were."""
    before = [contents(store) for store in world.stores.values()]
    with pytest.raises(error) as caught:
        await act(world, who, action, *args, **kwargs)
    assert type(caught.value) is error, f"{who}: {caught.value!r}"
    assert [contents(store) for store in world.stores.values()] == before, who
    return caught.value


def keys_of(world: World, lead_id: int) -> set[str]:
    return {key for key, lead, *_ in contents(world.store)["lead_access"] if lead == lead_id}


def was_told(world: World, done: Done, kind: str, who: str, old_keys: set[str], *, side: int = 3) -> None:
    """The row is stored as answered; one fact says it, to those who saw the lead before or see it now; the books balance."""
    assert done.fact is not None
    tables, number = contents(world.store), done.fact.number
    assert [row for row in tables["leads"] if row[0] == done.lead.id] == [tuple(done.lead)]
    fact = next(row for row in tables["journal"] if row[0] == number)
    assert fact[2:8] == (kind, id_of(world, who), None, done.lead.id, done.lead.version, side)
    now = keys_of(world, done.lead.id)
    expected = {key: (key in old_keys) + 2 * (key in now) for key in old_keys | now}
    assert {key: side for key, n, side in tables["journal_audience"] if n == number} == expected
    assert world.store.read_now(reach.check) == []
    assert world.store.read_now(journal.check) == []


# Capture -------------------------------------------------------------------------------------------------------------------

# who: (status, salesperson, warrior, with the partner company)
CAPTURED = {
    "admin": ("new", None, None, False),
    "manager1": ("new", None, None, False),
    "sales1": ("contacted", "sales1", None, False),
    "cosales1": ("new", None, None, False),
    "warrior1": ("contacted", "sales1", "warrior1", False),
    "warrior3": ("contacted", "sales2", "warrior3", False),
    "partner1": ("contacted", None, None, True),
    "support1": ("new", None, None, False),
    "integration1": ("new", None, None, False),
    "dev1": ("new", None, None, False),
}


@pytest.mark.parametrize("who", CAPTURED)
async def test_a_captured_lead_belongs_to_whom_the_role_says(floor: World, who: str) -> None:
    status, sales, warrior, partner = CAPTURED[who]
    done = await act(floor, who, actions.capture, {"firm_name": "Acme"})
    assert done.lead.status == status
    assert done.lead.salesperson_id == (id_of(floor, sales) if sales else None)
    assert done.lead.warrior_id == (id_of(floor, warrior) if warrior else None)
    assert done.lead.partner_company_id == (partner_of(floor) if partner else None)
    assert done.lead.created_by == done.lead.updated_by == id_of(floor, who)
    assert (done.lead.name, done.lead.source, done.lead.currency, done.lead.version) == ("Acme", "Manual", "EUR", 1)
    was_told(floor, done, "lead.captured", who, set(), side=2)


async def test_a_guest_and_whoever_is_suspended_capture_nothing(floor: World) -> None:
    await refused(floor, NotAllowed, "guest1", actions.capture, {"firm_name": "Acme"})
    viewer = await floor.viewer("sales1")
    sales1 = floor.person("sales1")
    await floor.store.write(people.suspend, await floor.viewer("admin"), sales1.id, version=sales1.version)
    before = contents(floor.store)
    with pytest.raises(NotAllowed):  # his rights count at the moment of the act, not when the page was opened
        await floor.store.write(actions.capture, viewer, {"firm_name": "Acme"})
    assert contents(floor.store) == before


async def test_a_lead_without_anything_to_call_it_is_refused(floor: World) -> None:
    await refused(floor, Invalid, "admin", actions.capture, {"city": "Pune"})
    await refused(floor, Invalid, "admin", actions.capture, {"firm_name": "Acme", "status": "won"})


async def test_new_leads_go_to_the_salesperson_with_the_fewest_open_ones(world: World) -> None:
    owners = [(await world.lead("admin")).lead.salesperson_id for _ in range(4)]
    one, two, three = (id_of(world, n) for n in ("sales1", "sales2", "sales3"))
    assert owners == [one, two, three, one]  # on a tie, who has been there longest
    lost = (await world.owned("sales2")).lead
    await act(world, "sales2", actions.move, lost.id, "lost", version=1, reason="Budget")
    assert (await world.lead("admin")).lead.salesperson_id == two  # what is lost is no load
    await world.owned("sales3")
    assert (await world.lead("integration1")).lead.salesperson_id == one


async def test_many_captures_in_one_commit_are_spread_evenly(world: World) -> None:
    viewer = await world.viewer("admin")
    done = await asyncio.gather(*(world.store.write(actions.capture, viewer, {"firm_name": "Acme"}) for _ in range(9)))
    owners = [d.lead.salesperson_id for d in done]
    assert {owners.count(id_of(world, n)) for n in ("sales1", "sales2", "sales3")} == {3}
    assert world.store.read_now(reach.check) == []


async def test_a_suspended_salesperson_is_given_nothing_and_without_any_the_pool_is(world: World) -> None:
    admin = await world.viewer("admin")
    for name in ("sales1", "sales2", "sales3"):
        person = world.person(name)
        owner = (await world.lead("admin")).lead.salesperson_id
        assert owner == person.id  # the two before are suspended, so he has the fewest
        await world.store.write(people.suspend, admin, person.id, version=person.version)
    pool = (await world.lead("admin")).lead
    assert pool.salesperson_id is None and pool.status == "new"


# Within reach, and by which role ---------------------------------------------------------------------------------------------

WORKERS = "admin manager1 sales1 cosales1 warrior1 warrior3 dev1"

# what: (action, arguments, may whom, kind of fact)
DONE: dict[str, tuple[Callable[..., Done], tuple[Any, ...], dict[str, Any], str, str]] = {
    "edit": (actions.edit, ({"city": "Pune"},), {}, f"{WORKERS} integration1", "lead.edited"),
    "plan a follow-up": (
        *(actions.edit, ({"next_followup_at": 1_800_000_000_000_000},), {}),
        *(f"{WORKERS} partner1 support1", "lead.edited"),
    ),
    "edit and plan": (
        *(actions.edit, ({"next_followup_at": 1_800_000_000_000_000, "city": "Pune"},), {}),
        *(WORKERS, "lead.edited"),
    ),
    "move to demo": (actions.move, ("demo",), {}, WORKERS, "lead.moved"),
    "move to new": (actions.move, ("new",), {}, "admin manager1 sales1 cosales1 dev1 integration1", "lead.moved"),
    "move to won": (actions.move, ("won",), {}, "admin manager1 sales1 cosales1 dev1", "lead.moved"),
    "lose": (actions.move, ("lost",), {"reason": "Budget"}, "admin manager1 sales1 cosales1 dev1", "lead.moved"),
    "give up": (actions.move, ("unqualified",), {"reason": "No need"}, WORKERS, "lead.moved"),
    "place": (actions.place, (), {}, f"{WORKERS} integration1", "lead.placed"),
    "share": (actions.share, ("sales3",), {}, "admin manager1 sales1 dev1", "lead.shared"),
    "archive": (actions.archive, (), {}, "admin manager1 sales1 dev1", "lead.archived"),
    "take the partner away": (actions.assign, ({"partner_company_id": None},), {}, "admin dev1", "lead.assigned"),
}


@pytest.mark.parametrize("what", DONE)
async def test_an_action_is_done_for_the_roles_that_may_and_refused_for_every_other(floor: World, what: str) -> None:
    action, given, named, may, kind = DONE[what]
    args = [[id_of(floor, a)] if a == "sales3" else a for a in given]
    for who in NAMES:
        lead = (await known_to_all(floor)).lead
        if who not in IN_REACH:
            await refused(floor, NotFound, who, action, lead.id, *args, version=3, **named)
        elif who not in may.split():
            await refused(floor, NotAllowed, who, action, lead.id, *args, version=3, **named)
        else:
            await refused(floor, Stale, who, action, lead.id, *args, version=2, **named)
            old = keys_of(floor, lead.id)
            done = await act(floor, who, action, lead.id, *args, version=3, **named)
            assert done.lead.version == 4 and done.lead.updated_by == id_of(floor, who)
            was_told(floor, done, kind, who, old, side=1 if action is actions.archive else 3)


async def test_an_absent_lead_and_one_out_of_reach_are_refused_alike(floor: World) -> None:
    lead = (await known_to_all(floor)).lead
    words = {
        str(await refused(floor, NotFound, "sales3", actions.edit, id_, {"city": "Pune"}, version=3))
        for id_ in (lead.id, 17, 2**62)
    }
    assert len(words) == 1


async def test_a_note_is_kept_for_the_roles_that_may_and_leaves_the_version_alone(floor: World) -> None:
    for who in NAMES:
        lead = (await known_to_all(floor)).lead
        if who not in IN_REACH:
            await refused(floor, NotFound, who, actions.log_activity, lead.id, "note", text="hm")
        elif who not in f"{WORKERS} support1".split():
            await refused(floor, NotAllowed, who, actions.log_activity, lead.id, "note", text="hm")
        else:
            old = keys_of(floor, lead.id)
            done = await act(floor, who, actions.log_activity, lead.id, "note", text=" hm ")
            assert done.lead == lead
            was_told(floor, done, "activity.logged", who, old)
    await refused(floor, Invalid, "admin", actions.log_activity, lead.id, "note", text="  ")
    await refused(floor, Invalid, "admin", actions.log_activity, lead.id, "fax")


async def test_a_note_of_one_team_is_not_read_by_another_in_the_standard_view(floor: World) -> None:
    lead = (await given_to(floor, "sales1")).lead
    await act(floor, "admin", actions.share, lead.id, [id_of(floor, "sales3")], version=2)
    await act(floor, "sales1", actions.log_activity, lead.id, "note", text="ours alone")
    await act(floor, "admin", actions.log_activity, lead.id, "call", text="for all")

    async def texts(who: str) -> list[str]:
        lines = floor.store.read_now(timeline, await floor.viewer(who), lead.id, limit=20, before=NEWEST).items
        return [line["text"] for line in lines if line["kind"] == "activity.logged"]

    assert await texts("sales1") == await texts("manager1") == await texts("admin") == ["for all", "ours alone"]
    assert await texts("sales3") == ["for all"]
    assert await texts("guest1") == []


async def test_an_edit_that_changes_nothing_says_nothing(floor: World) -> None:
    lead = (
        await given_to(
            floor,
            "sales1",
        )
    ).lead
    before = contents(floor.store)
    done = await act(floor, "sales1", actions.edit, lead.id, {"firm_name": "Acme"}, version=2)
    assert done.fact is None and done.lead == lead and contents(floor.store) == before


async def test_an_edit_renames_searches_and_identities_with_it(floor: World) -> None:
    lead = (await floor.owned("sales1", first_name="Priya", phone="+447700900142")).lead
    done = await act(
        floor, "sales1", actions.edit, lead.id, {"last_name": "Raman", "phone": "+447700900143"}, version=1
    )
    assert done.lead.name == "Priya Raman"
    tables = contents(floor.store)
    assert {word for word, id_ in tables["lead_words"] if id_ == lead.id} == {"acme", "priya", "raman"}
    assert {value for _, value, id_ in tables["identities"] if id_ == lead.id} == {"447700900143"}


async def test_what_can_not_be_empty_is_not_emptied(floor: World) -> None:
    lead = (await given_to(floor, "sales1")).lead
    for fields in ({"source": None}, {"currency": ""}):
        await refused(floor, Invalid, "sales1", actions.edit, lead.id, fields, version=2)


async def test_an_illegal_move_and_one_of_an_archived_lead_are_refused(floor: World) -> None:
    lead = (await given_to(floor, "sales1")).lead
    with pytest.raises(Conflict) as caught:
        await act(floor, "admin", actions.move, lead.id, "won", version=2)
    assert caught.value.code == "illegal_move"
    await refused(floor, Invalid, "admin", actions.move, lead.id, "lost", version=2)
    await act(floor, "admin", actions.archive, lead.id, version=2)
    assert (await refused(floor, Conflict, "admin", actions.move, lead.id, "demo", version=3)).code == "archived"


async def test_a_status_change_can_make_a_lead_leave_a_world_and_enter_another(floor: World) -> None:
    lead = (
        await given_to(floor, "sales1", warrior_id=id_of(floor, "warrior1"), support_id=id_of(floor, "support1"))
    ).lead
    assert {"co", f"w:{id_of(floor, 'warrior1')}"} <= keys_of(floor, lead.id)
    assert f"cs:{id_of(floor, 'support1')}" not in keys_of(floor, lead.id)
    won = await act(floor, "sales1", actions.move, lead.id, "trial", version=2)
    assert f"cs:{id_of(floor, 'support1')}" in keys_of(floor, lead.id)
    await act(floor, "sales1", actions.move, lead.id, "unqualified", version=won.lead.version, reason="No need")
    assert keys_of(floor, lead.id) == {f"sp:{id_of(floor, 'sales1')}", f"mgr:{id_of(floor, 'manager1')}"}
    await refused(floor, NotFound, "warrior1", actions.log_activity, lead.id, "call")


# Assigning -----------------------------------------------------------------------------------------------------------------

# who, which lead, given (names, or None to take away), the refusal or None
ASSIGNED: list[tuple[str, str, dict[str, Any], type[HubError] | None]] = [
    ("admin", "pool", {"salesperson_id": "sales3"}, None),
    ("admin", "own", {"salesperson_id": "sales3"}, None),
    ("admin", "own", {"warrior_id": "warrior2"}, None),
    ("admin", "own", {"support_id": "support1"}, None),
    ("admin", "own", {"partner_company_id": "Partner One"}, None),
    ("admin", "own", {"salesperson_id": None}, None),
    ("admin", "own", {}, Invalid),
    ("admin", "own", {"owner_id": "sales1"}, Invalid),
    ("admin", "own", {"salesperson_id": "manager1"}, Invalid),
    ("admin", "own", {"salesperson_id": "cosales1"}, Invalid),
    ("admin", "own", {"salesperson_id": "nobody"}, Invalid),
    ("admin", "own", {"warrior_id": "sales2"}, Invalid),
    ("admin", "own", {"support_id": "sales2"}, Invalid),
    ("admin", "own", {"partner_company_id": "partner1"}, Invalid),
    ("admin", "own", {"salesperson_id": "sales3", "warrior_id": "nobody"}, Invalid),
    ("dev1", "other", {"salesperson_id": "sales1"}, None),
    ("manager1", "pool", {"salesperson_id": "sales1"}, None),
    ("manager1", "pool", {"warrior_id": "warrior2"}, None),
    ("manager1", "pool", {"salesperson_id": "sales3"}, NotAllowed),
    ("manager1", "own", {"salesperson_id": "sales2"}, None),
    ("manager1", "own", {"salesperson_id": None}, None),
    ("manager1", "own", {"salesperson_id": "sales3"}, NotAllowed),
    ("manager1", "own", {"salesperson_id": "sales2", "support_id": "support1"}, NotAllowed),
    ("manager1", "own", {"partner_company_id": "Partner One"}, NotAllowed),
    ("manager1", "own", {"salesperson_id": "nobody"}, Invalid),
    ("manager1", "other", {"salesperson_id": "sales1"}, NotFound),
    ("manager2", "own", {"salesperson_id": "sales3"}, NotFound),
    ("manager2", "other", {"salesperson_id": "sales3", "warrior_id": "warrior1"}, NotAllowed),
    ("sales1", "own", {"warrior_id": "warrior1"}, None),
    ("sales1", "own", {"warrior_id": "warrior2"}, NotAllowed),
    ("sales1", "own", {"warrior_id": "nobody"}, Invalid),
    ("sales1", "own", {"salesperson_id": "sales2"}, NotAllowed),
    ("sales1", "own", {"salesperson_id": None}, NotAllowed),
    ("sales1", "own", {"warrior_id": "warrior1", "salesperson_id": "sales2"}, NotAllowed),
    ("sales1", "shared", {"warrior_id": "warrior1"}, NotAllowed),
    ("sales1", "pool", {"warrior_id": "warrior1"}, NotFound),
    ("sales1", "other", {"warrior_id": "warrior1"}, NotFound),
    ("support1", "pool", {"salesperson_id": "sales3"}, None),
    ("support1", "pool", {"salesperson_id": None}, NotAllowed),
    ("support1", "pool", {"warrior_id": "warrior1"}, NotAllowed),
    ("support1", "pool", {"salesperson_id": "sales1", "warrior_id": "warrior1"}, NotAllowed),
    ("support1", "pool", {"salesperson_id": "nobody"}, Invalid),
    ("support1", "known", {"salesperson_id": "sales3"}, NotAllowed),
    ("support1", "own", {"salesperson_id": "sales3"}, NotFound),
    ("cosales1", "own", {"warrior_id": "warrior1"}, NotAllowed),
    ("cosales1", "own", {"salesperson_id": "nobody"}, NotAllowed),
    ("warrior1", "known", {"warrior_id": "warrior2"}, NotAllowed),
    ("partner1", "known", {"salesperson_id": "sales1"}, NotAllowed),
    ("integration1", "own", {"salesperson_id": "sales2"}, NotAllowed),
    ("guest1", "pool", {"salesperson_id": "sales1"}, NotAllowed),
]


@pytest.mark.parametrize("who", dict.fromkeys(row[0] for row in ASSIGNED))
async def test_a_lead_is_assigned_by_whom_and_to_whom_the_contract_says(floor: World, who: str) -> None:
    make = {
        "pool": lambda: floor.lead("admin"),
        "own": lambda: given_to(floor, "sales1"),
        "other": lambda: given_to(floor, "sales3"),
        "known": lambda: known_to_all(floor),
        "shared": lambda: _shared_with_sales1(floor),
    }
    ids = {name: id_of(floor, name) for name in NAMES} | {"nobody": 17, "Partner One": partner_of(floor), None: None}
    for _, which, given, error in [row for row in ASSIGNED if row[0] == who]:
        lead = (await make[which]()).lead
        targets = {name: ids[target] for name, target in given.items()}
        if error is not None:
            refusal = await refused(floor, error, who, actions.assign, lead.id, targets, version=lead.version)
            if error is Invalid and given and "owner_id" not in given:
                assert refusal.code == "unknown_reference"
            continue
        old = keys_of(floor, lead.id)
        done = await act(floor, who, actions.assign, lead.id, targets, version=lead.version)
        assert {name: getattr(done.lead, name) for name in targets} == targets
        assert done.lead.status == "contacted"  # also what was new
        was_told(floor, done, "lead.assigned", who, old)


async def _shared_with_sales1(world: World) -> Done:
    lead = (await given_to(world, "sales3")).lead
    return await act(world, "admin", actions.share, lead.id, [id_of(world, "sales1")], version=lead.version)


async def test_a_person_of_another_company_is_as_unknown_as_nobody(floor: World) -> None:
    beta = floor.stores["beta"]
    given = {"username": "only-here", "name": "Only in beta", "role": "SALESPERSON"}
    stranger = await floor.hub.add_person(beta, Viewer.system("test"), given, floor.hub.passwords.hash_now(PASSWORD))
    lead = (await given_to(floor, "sales1")).lead
    said = set()
    for who in ("admin", "manager1"):
        for target in (stranger.id, 17, 2**62):
            error = await refused(floor, Invalid, who, actions.assign, lead.id, {"salesperson_id": target}, version=2)
            said.add((error.message, error.code, str(error.extra)))
    for target in (stranger.id, 17):
        error = await refused(floor, Invalid, "admin", actions.share, lead.id, [target], version=2)
        assert error.code == "unknown_reference"
    assert len(said) == 1


async def test_a_suspended_person_is_given_nothing(floor: World) -> None:
    lead = (await given_to(floor, "sales1")).lead
    for name, column in (("sales2", "salesperson_id"), ("warrior2", "warrior_id"), ("support1", "support_id")):
        person = floor.person(name)
        await floor.store.write(people.suspend, await floor.viewer("admin"), person.id, version=person.version)
        error = await refused(floor, Invalid, "admin", actions.assign, lead.id, {column: person.id}, version=2)
        assert error.code == "unknown_reference"


async def test_a_warriors_salesperson_becomes_the_leads_when_it_has_none(floor: World) -> None:
    pool = (await floor.lead("admin")).lead
    done = await act(floor, "admin", actions.assign, pool.id, {"warrior_id": id_of(floor, "warrior2")}, version=1)
    assert (done.lead.salesperson_id, done.lead.status) == (id_of(floor, "sales2"), "contacted")
    own = (await given_to(floor, "sales1")).lead
    kept = await act(floor, "admin", actions.assign, own.id, {"warrior_id": id_of(floor, "warrior2")}, version=2)
    assert kept.lead.salesperson_id == id_of(floor, "sales1")


async def test_a_new_owner_is_told_and_nobody_is_told_of_a_lead_that_he_does_not_see(floor: World) -> None:
    def notices() -> list[str]:
        tables = contents(floor.store)
        about = [row[0] for row in tables["journal"] if row[2] == "notice"]
        return [key for key, number, _ in tables["journal_audience"] if number in about]

    pool = (await floor.lead("admin")).lead
    assert notices() == []
    to = {"salesperson_id": id_of(floor, "sales1"), "support_id": id_of(floor, "support1")}
    await act(floor, "admin", actions.assign, pool.id, to, version=1)
    assert notices() == [f"u:{id_of(floor, 'sales1')}"]  # customer success sees it from trial on
    await act(floor, "sales1", actions.capture, {"firm_name": "His own"})
    assert len(notices()) == 1


async def test_giving_a_shared_lead_to_who_shares_it_ends_that_share(floor: World) -> None:
    lead = (await _shared_with_sales1(floor)).lead
    done = await act(floor, "admin", actions.assign, lead.id, {"salesperson_id": id_of(floor, "sales1")}, version=3)
    assert done.shares == () and contents(floor.store)["lead_shares"] == []


# Sharing -------------------------------------------------------------------------------------------------------------------


async def test_a_lead_is_shared_with_exactly_the_people_named(floor: World) -> None:
    lead = (await given_to(floor, "sales1")).lead
    two, three = id_of(floor, "sales2"), id_of(floor, "sales3")
    done = await act(floor, "sales1", actions.share, lead.id, [three, two, two], version=2)
    assert sorted(p for p, _ in done.shares) == [two, three]
    old = keys_of(floor, lead.id)
    done = await act(floor, "sales1", actions.share, lead.id, [three], version=3)
    assert done.shares == ((three, "share"),)
    was_told(floor, done, "lead.shared", "sales1", old)
    await refused(floor, NotAllowed, "sales3", actions.share, lead.id, [], version=4)  # he has it, but it is not his
    await refused(floor, NotAllowed, "sales3", actions.archive, lead.id, version=4)
    await refused(floor, Invalid, "sales1", actions.share, lead.id, [id_of(floor, "sales1")], version=4)
    await refused(floor, Invalid, "sales1", actions.share, lead.id, [id_of(floor, "warrior1")], version=4)
    ended = await act(floor, "sales1", actions.share, lead.id, [], version=4)
    assert ended.shares == () and f"sp:{three}" not in keys_of(floor, lead.id)


# Away and back -------------------------------------------------------------------------------------------------------------


async def test_an_archived_lead_comes_back_to_where_it_was(floor: World) -> None:
    lead = (await known_to_all(floor)).lead
    keys = keys_of(floor, lead.id)
    archived = await act(floor, "sales1", actions.archive, lead.id, version=3)
    assert keys_of(floor, lead.id) == set() and archived.lead.archived_at is not None
    assert floor.store.read_now(counts, "all")["trial"][0] == 0
    assert (await refused(floor, Conflict, "sales1", actions.archive, lead.id, version=4)).code == "archived"
    for who in ("sales3", "manager2", "warrior2"):
        await refused(floor, NotFound, who, actions.restore, lead.id, version=4)
    for who in ("cosales1", "warrior1", "partner1", "support1", "integration1", "guest1"):
        await refused(floor, NotAllowed, who, actions.restore, lead.id, version=4)
    await refused(floor, Stale, "sales1", actions.restore, lead.id, version=3)
    back = await act(floor, "manager1", actions.restore, lead.id, version=4)
    assert keys_of(floor, lead.id) == keys and back.lead.status == "trial"
    was_told(floor, back, "lead.restored", "manager1", set(), side=2)
    assert (await refused(floor, Conflict, "sales1", actions.restore, lead.id, version=5)).code == "not_archived"


# The board's order ---------------------------------------------------------------------------------------------------------


async def test_a_card_goes_between_its_new_neighbours(floor: World) -> None:
    ids = [(await floor.owned("sales1")).lead.id for _ in range(4)]
    viewer = await floor.viewer("sales1")

    def column(status: str = "contacted") -> list[int]:
        found = floor.store.read_now(board, viewer, limit=50, status=status, after=TOP)
        return [lead.row.id for lead in found.columns[status].items]

    a, b, c, d = column()
    assert [a, b, c, d] == ids[::-1]
    await act(floor, "sales1", actions.place, a, version=1, after=b, before=c)
    assert column() == [b, a, c, d]
    await act(floor, "sales1", actions.place, b, version=1, after=d)
    assert column() == [a, c, d, b]
    await act(floor, "sales1", actions.place, d, version=1, before=a)
    assert column() == [d, a, c, b]
    for moved in (c, b):
        await act(floor, "sales1", actions.move, moved, "demo", version=1 if moved == c else 2)
    assert column("demo") == [b, c]
    await act(floor, "sales1", actions.move, a, "demo", version=2, after=b, before=c)
    assert column("demo") == [b, a, c] and column() == [d]


async def test_a_neighbour_out_of_reach_tells_nothing_about_its_place(floor: World) -> None:
    foreign = (await given_to(floor, "sales3")).lead
    lead = (await floor.owned("sales1")).lead
    on_top = [
        await act(floor, "sales1", actions.place, lead.id, version=version, after=neighbour)
        for version, neighbour in ((1, foreign.id), (2, 17))
    ]
    assert all(-done.lead.rank == done.lead.updated_at for done in on_top)


# Undo ----------------------------------------------------------------------------------------------------------------------


async def _undoable(world: World) -> list[Done]:
    """One fact of each kind that can be undone, by sales1 or the admin, each on a lead of its own."""
    made = []
    for act_on in (
        lambda lead: act(world, "sales1", actions.edit, lead, {"city": "Pune", "phone": "+447700900142"}, version=1),
        lambda lead: act(world, "sales1", actions.move, lead, "lost", version=1, reason="Budget"),
        lambda lead: act(world, "sales1", actions.place, lead, version=1),
        lambda lead: act(world, "sales1", actions.assign, lead, {"warrior_id": id_of(world, "warrior1")}, version=1),
        lambda lead: act(world, "sales1", actions.share, lead, [id_of(world, "sales3")], version=1),
        lambda lead: act(world, "sales1", actions.archive, lead, version=1),
    ):
        made.append(await act_on((await world.owned("sales1")).lead.id))
    return made


def _what_counts(done: Done) -> dict[str, Any]:
    moving = ("version", "updated_at", "updated_by", "updated_via")
    return {name: value for name, value in done.lead._asdict().items() if name not in moving}


async def test_every_undoable_fact_is_taken_back_whole_and_that_can_be_taken_back_too(floor: World) -> None:
    for done in await _undoable(floor):
        assert done.fact is not None
        old = keys_of(floor, done.lead.id)
        back = await act(floor, "sales1", actions.undo, done.fact.number)
        expected = {c: pair[0] for c, pair in done.fact.fact.changes.items() if c != "shared_with"}
        assert _what_counts(back) == {**_what_counts(done), **expected}
        assert back.lead.version == done.lead.version + 1 and back.shares == ()
        assert back.fact is not None and back.fact.fact.undoes == done.fact.number
        kind = {"lead.archived": "lead.restored"}.get(done.fact.fact.kind, done.fact.fact.kind)
        was_told(floor, back, kind, "sales1", old, side=2 if kind == "lead.restored" else 3)
        again = await act(floor, "sales1", actions.undo, back.fact.number)
        assert (_what_counts(again), again.shares) == (_what_counts(done), done.shares)


async def test_an_undo_is_for_who_did_it_his_manager_or_an_admin(floor: World) -> None:
    for who, error in (
        *((who, None) for who in ("sales1", "manager1", "admin")),
        *(
            (who, NotAllowed)
            for who in ("cosales1", "warrior1", "partner1", "support1", "integration1", "dev1", "guest1")
        ),
        *((who, NotFound) for who in ("sales3", "manager2", "warrior2")),
    ):
        lead = (await known_to_all(floor)).lead
        done = await act(floor, "sales1", actions.edit, lead.id, {"city": "Pune"}, version=3)
        assert done.fact is not None
        if error:
            await refused(floor, error, who, actions.undo, done.fact.number)
        else:
            assert (await act(floor, who, actions.undo, done.fact.number)).lead.city is None


async def test_a_manager_undoes_his_own_people_only(floor: World) -> None:
    lead = (await known_to_all(floor)).lead
    by_admin = await act(floor, "admin", actions.edit, lead.id, {"city": "Pune"}, version=3)
    assert by_admin.fact is not None
    await refused(floor, NotAllowed, "manager1", actions.undo, by_admin.fact.number)
    by_machine = await floor.store.write(actions.edit, Viewer.system("test"), lead.id, {"city": "Delhi"}, version=4)
    await refused(floor, NotAllowed, "manager1", actions.undo, by_machine.fact.number)
    await refused(floor, NotAllowed, "sales1", actions.undo, by_machine.fact.number)
    assert (await act(floor, "admin", actions.undo, by_machine.fact.number)).lead.city == "Pune"


async def test_an_undo_comes_within_ten_minutes(floor: World) -> None:
    first, second = [(await floor.owned("sales1")).lead.id for _ in range(2)]
    done = [await act(floor, "sales1", actions.edit, lead, {"city": "Pune"}, version=1) for lead in (first, second)]
    floor.time.now = done[0].fact.at + 10 * MINUTE - 10  # type: ignore[union-attr]
    assert (await act(floor, "sales1", actions.undo, done[0].fact.number)).lead.city is None  # type: ignore[union-attr]
    floor.time.now = done[1].fact.at + 10 * MINUTE + 1  # type: ignore[union-attr]
    error = await refused(floor, Conflict, "sales1", actions.undo, done[1].fact.number)  # type: ignore[union-attr]
    assert error.code == "too_late"


async def test_what_has_changed_since_is_not_undone(floor: World) -> None:
    lead = (await floor.owned("sales1")).lead
    done = await act(floor, "sales1", actions.edit, lead.id, {"city": "Pune"}, version=1)
    await act(floor, "manager1", actions.edit, lead.id, {"zip_code": "411001"}, version=2)
    assert done.fact is not None
    error = await refused(floor, Conflict, "sales1", actions.undo, done.fact.number)
    assert (error.code, error.extra) == ("stale", {"version": 3})


async def test_what_only_adds_and_what_is_no_lead_is_not_undone(floor: World) -> None:
    captured = await floor.owned("sales1")
    note = await act(floor, "sales1", actions.log_activity, captured.lead.id, "call", text="hi")
    for done in (captured, note):
        assert done.fact is not None
        error = await refused(floor, Conflict, "sales1", actions.undo, done.fact.number)
        assert error.code == "not_undoable"
    session = await floor.session("sales1")  # a fact about no lead
    number = contents(floor.store)["journal"][-1][0]
    assert session.id and number > note.fact.number  # type: ignore[union-attr]
    for nothing in (number, 0, -1, 10**9):
        await refused(floor, NotFound, "admin", actions.undo, nothing)


async def test_a_person_moved_by_another_admin_acts_with_what_he_may_now(floor: World) -> None:
    lead = (await floor.owned("sales1")).lead
    stale_viewer = await floor.viewer("sales1")
    sales1 = floor.person("sales1")
    await floor.store.write(
        hierarchy.move_person,
        await floor.viewer("admin"),
        sales1.id,
        version=sales1.version,
        role="GUEST",
        manager_id=None,
    )
    await floor.hub.pay_rekeys(floor.store)
    before = contents(floor.store)
    with pytest.raises(NotAllowed):
        await floor.store.write(actions.edit, stale_viewer, lead.id, {"city": "Pune"}, version=1)
    assert contents(floor.store) == before
