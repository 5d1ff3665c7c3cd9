"""The journal: numbers, audience, what refuses to be changed, and how a break is named."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from backend.errors import Conflict
from backend.events import Forgotten, SettingsChanged
from backend.store import journal
from backend.store.database import Store
from backend.store.ids import SECOND
from backend.store.journal import Head, audience_from, check, facts_since, read_head, seal, trim_audience
from backend.store.migrate import upgrade
from tests.world import within

from .actions import counted, put, put_and_refuse, recorded_names
from .conftest import Floor

ROOT = Path(__file__).parents[2]


def head(floor: Floor) -> Head:
    return floor.demo.read_now(read_head)


def checked(floor: Floor) -> list[str]:
    return floor.demo.read_now(check)


# Writing -------------------------------------------------------------------------------------------------------------------


def test_the_journal_module_is_the_only_writer_of_its_tables() -> None:
    writes = re.compile(r"\b(?:insert_into|insert|upsert|update|delete)\(\s*(?:head|journal\w*)\b")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("backend", "jobs", "ui")
        for path in (ROOT / folder).rglob("*.py")
        if writes.search(path.read_text())
    }
    assert found == {"backend/store/journal.py"}


async def test_numbers_have_no_gaps_and_follow_the_commits_whatever_is_refused(floor: Floor) -> None:
    """32 writers at once, a third of their actions refused."""
    first = head(floor).number
    done: list[str] = []

    async def work(who: int) -> None:
        rng = Random(who)
        for i in range(25):
            name = f"{who}:{i}"
            if rng.random() < 0.33:
                with pytest.raises(Conflict):
                    await floor.demo.write(put_and_refuse, name)
            else:
                write = floor.demo.write_bulk if rng.random() < 0.2 else floor.demo.write
                done.append(await write(put, name, audience={"all": 2}))

    await within(asyncio.gather(*(work(who) for who in range(32))))
    assert floor.numbers() == list(range(first + 1, first + 1 + len(done)))
    facts = floor.demo.read_now(facts_since, first, head(floor).number)
    assert [f.number for f in facts] == floor.numbers() and head(floor).number == facts[-1].number
    assert sorted(floor.demo.read_now(recorded_names)) == sorted(done)
    announced = [f.fact for _, facts in floor.heard for f in facts]
    assert [f.fact for f in facts] == announced
    assert [f.at for f in facts] == sorted(f.at for f in facts)
    assert checked(floor) == []


async def test_several_facts_of_one_action_are_numbered_in_the_order_they_were_recorded(floor: Floor) -> None:
    def three(tx: journal.Tx) -> None:
        for name in ("a", "b", "c"):
            put(tx, name)

    await within(floor.demo.write(three))
    assert floor.demo.read_now(recorded_names) == ["a", "b", "c"]
    assert [len(facts) for _, facts in floor.heard] == [3]


async def test_a_fact_comes_back_as_it_was_recorded(floor: Floor) -> None:
    await within(floor.demo.write(put, "a", "é 🙂", audience={"all": 2, "sp:5": 1, "mgr:6": 3}))
    (announced,) = floor.heard[0][1]
    (stored,) = floor.demo.read_now(facts_since, announced.number - 1, announced.number)
    assert stored == announced
    assert stored.fact == SettingsChanged(changes={"a": [None, "é 🙂"]})
    assert (stored.actor, stored.via, stored.audience) == (None, "test", {"all": 2, "sp:5": 1, "mgr:6": 3})


async def test_a_commit_without_facts_takes_no_number(floor: Floor) -> None:
    before = head(floor)
    await within(floor.demo.write(lambda tx: None))
    assert head(floor) == before and floor.heard == []


async def test_people_who_change_make_a_new_version_of_the_people(floor: Floor) -> None:
    before = head(floor)
    await within(floor.demo.write(journal.people_changed))
    assert head(floor) == before._replace(people_version=before.people_version + 1)


async def test_a_rotated_epoch_keeps_the_numbers_and_voids_the_cursors(floor: Floor) -> None:
    before = head(floor)
    epoch = await within(floor.demo.write(journal.rotate_epoch))
    assert head(floor) == before._replace(epoch=epoch) and epoch != before.epoch and len(epoch) == 8
    await within(floor.demo.write(journal.begin))  # again, it changes nothing
    assert head(floor).epoch == epoch


# What refuses to be changed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET at = at + 1",
        "UPDATE journal SET digest = x'00' WHERE number = 1",
        "DELETE FROM journal",
        "DELETE FROM journal WHERE number = 1",
        "UPDATE journal_body SET body = x'7b7d'",
        "UPDATE journal_seal SET link = x'00'",
        "DELETE FROM journal_seal",
    ],
)
async def test_the_database_itself_refuses_to_change_the_journal(floor: Floor, statement: str) -> None:
    await within(floor.demo.write(put, "a"))
    await within(floor.demo.write_bulk(seal))
    before = floor.demo.read_now(counted)
    refused = pytest.raises(sqlite3.IntegrityError, match="never changed")
    with closing(sqlite3.connect(floor.demo.path, isolation_level=None)) as raw, refused:
        raw.execute(statement)
    assert floor.demo.read_now(counted) == before and checked(floor) == []


# Breaks --------------------------------------------------------------------------------------------------------------------

TRIGGERS = (
    *("journal_no_update", "journal_no_delete", "journal_body_no_update"),
    *("journal_seal_no_update", "journal_seal_no_delete"),
)


@pytest.fixture(scope="session")
def unwritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a company in which nothing has happened yet."""
    path = tmp_path_factory.mktemp("unwritten") / "unwritten.db"
    upgrade("company", path)
    return path


@pytest.fixture
async def young(floor: Floor, unwritten: Path, tmp_path: Path) -> AsyncIterator[Floor]:
    """The floor with a demo company whose journal is empty."""
    shutil.copy(unwritten, tmp_path / "demo.db")
    floor.demo = Store("demo", tmp_path / "demo.db", floor.database)
    await within(floor.demo.write(journal.begin))
    yield floor
    floor.demo.close()


@pytest.fixture
async def sealed(young: Floor, monkeypatch: pytest.MonkeyPatch) -> Floor:
    """Seals at 10, 20 and 30, then three facts that no seal covers yet."""
    floor = young
    monkeypatch.setattr(journal, "SEAL_PAGE", 10)
    await within(asyncio.gather(*(floor.demo.write(put, f"n{i}", audience={"all": 2}) for i in range(33))))
    assert [await within(floor.demo.write_bulk(seal)) for _ in range(3)] == [10, 10, 10]
    assert head(floor).number == 33 and checked(floor) == []
    return floor


def tamper(floor: Floor, *statements: str) -> None:
    """What somebody with the file can do: take the triggers away and write."""
    with closing(sqlite3.connect(floor.demo.path, isolation_level=None)) as raw:
        for trigger in TRIGGERS:
            raw.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            raw.execute(statement)


BROKEN: dict[str, tuple[list[str], list[str]]] = {
    "altered header": (["UPDATE journal SET actor = 4711 WHERE number = 27"], ["fact 27 was altered"]),
    "altered time": (["UPDATE journal SET at = at + 1 WHERE number = 27"], ["fact 27 was altered"]),
    "altered body": (["UPDATE journal_body SET body = x'7b7d' WHERE number = 27"], ["fact 27 was altered"]),
    "altered salt": (["UPDATE journal_body SET salt = zeroblob(16) WHERE number = 27"], ["fact 27 was altered"]),
    "altered, not yet sealed": (["UPDATE journal SET kind = 'x' WHERE number = 32"], ["fact 32 was altered"]),
    "altered digest": (
        ["UPDATE journal SET digest = zeroblob(32) WHERE number = 27"],
        ["fact 27 was altered", "the seal of fact 30 does not hold"],
    ),
    "two bodies swapped": (
        ["UPDATE journal_body SET number = -number WHERE number IN (21, 22)"]
        + ["UPDATE journal_body SET number = CASE number WHEN -21 THEN 22 ELSE 21 END WHERE number < 0"],
        ["fact 21 was altered", "fact 22 was altered"],
    ),
    "removed middle row": (
        ["DELETE FROM journal WHERE number = 27"],
        ["facts 27 to 27 are missing", "the seal of fact 30 does not hold"],
    ),
    "removed row that carries a seal": (
        ["DELETE FROM journal WHERE number = 20"],
        ["facts 20 to 20 are missing", "the seal of fact 20 does not hold"],
    ),
    "removed rows across a seal": (
        ["DELETE FROM journal WHERE number BETWEEN 18 AND 22"],
        ["facts 18 to 22 are missing", "the seal of fact 20 does not hold", "the seal of fact 30 does not hold"],
    ),
    "removed tail": (["DELETE FROM journal WHERE number > 31"], ["the journal ends at 31, its head says 33"]),
    "removed tail that was sealed, and the head with it": (
        ["DELETE FROM journal WHERE number > 28", "UPDATE head SET number = 28"],
        ["facts after 28 are missing: fact 30 was sealed"],
    ),
    "removed everything": (
        ["DELETE FROM journal", "UPDATE head SET number = 0"],
        ["facts after 0 are missing: fact 10 was sealed"],
    ),
    "altered seal": (
        ["UPDATE journal_seal SET link = zeroblob(32) WHERE number = 30"],
        ["the seal of fact 30 does not hold"],
    ),
    "altered seal in the middle": (
        ["UPDATE journal_seal SET link = zeroblob(32) WHERE number = 20"],
        ["the seal of fact 20 does not hold", "the seal of fact 30 does not hold"],
    ),
    "removed seal": (["DELETE FROM journal_seal WHERE number = 20"], ["the seal of fact 30 does not hold"]),
    "moved seal": (["UPDATE journal_seal SET number = 29 WHERE number = 30"], ["the seal of fact 29 does not hold"]),
    "head too high": (["UPDATE head SET number = 40"], ["the journal ends at 33, its head says 40"]),
    "head too low": (["UPDATE head SET number = 32"], ["the journal ends at 33, its head says 32"]),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_the_check_names_the_place_of_a_break(sealed: Floor, name: str) -> None:
    statements, sentences = BROKEN[name]
    tamper(sealed, *statements)
    assert checked(sealed) == sentences


async def test_a_fact_rewritten_with_a_digest_that_fits_breaks_its_seal(sealed: Floor) -> None:
    with closing(sqlite3.connect(sealed.demo.path)) as raw:
        query = "SELECT number, at, kind, actor, via, lead_id, version, side, batch, salt FROM journal JOIN journal_body USING (number)"
        *header, salt = raw.execute(f"{query} WHERE number = 15").fetchone()
    body = b'{"changes":{}}'
    of_body = journal.salted(salt, body)
    fits = journal.digest(tuple(header), of_body)
    tamper(
        sealed,
        f"UPDATE journal_body SET body = x'{body.hex()}' WHERE number = 15",
        f"UPDATE journal SET body_digest = x'{of_body.hex()}', digest = x'{fits.hex()}' WHERE number = 15",
    )
    assert checked(sealed) == ["the seal of fact 20 does not hold"]


async def test_an_erased_body_leaves_the_proof_whole_and_the_fact_forgotten(sealed: Floor) -> None:
    with closing(sqlite3.connect(sealed.demo.path, isolation_level=None)) as raw:
        raw.execute("DELETE FROM journal_body WHERE number = 27")
    assert checked(sealed) == []
    (fact,) = sealed.demo.read_now(facts_since, 26, 27)
    assert fact.fact == Forgotten(was="settings.changed") and fact.audience == {"all": 2}


async def test_an_erased_fact_can_no_more_be_rewritten_than_any_other(sealed: Floor) -> None:
    with closing(sqlite3.connect(sealed.demo.path, isolation_level=None)) as raw:
        raw.execute("DELETE FROM journal_body WHERE number = 27")
    tamper(sealed, "UPDATE journal SET actor = 1 WHERE number = 27")
    assert checked(sealed) == ["fact 27 was altered"]


# The seal ------------------------------------------------------------------------------------------------------------------


async def test_a_seal_covers_what_came_since_the_last_and_nothing_twice(young: Floor) -> None:
    floor = young
    assert await within(floor.demo.write_bulk(seal)) == 0
    await within(asyncio.gather(*(floor.demo.write(put, f"n{i}") for i in range(5))))
    assert await within(floor.demo.write_bulk(seal)) == 5
    assert await within(floor.demo.write_bulk(seal)) == 0
    await within(floor.demo.write(put, "a"))
    assert await within(floor.demo.write_bulk(seal)) == 1
    with closing(sqlite3.connect(floor.demo.path)) as raw:
        assert [r[0] for r in raw.execute("SELECT number FROM journal_seal")] == [5, 6]
    assert checked(floor) == []


async def test_a_seal_is_chained_to_the_one_before(sealed: Floor) -> None:
    with closing(sqlite3.connect(sealed.demo.path)) as raw:
        digests = [r[0] for r in raw.execute("SELECT digest FROM journal ORDER BY number")]
        links = [r[0] for r in raw.execute("SELECT link FROM journal_seal ORDER BY number")]
    expected, link = [], b""
    for page in (digests[:10], digests[10:20], digests[20:30]):
        link = journal.chained(link, page)
        expected.append(link)
    assert links == expected and len(set(links)) == 3


# The audience --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def aged(floor: Floor) -> tuple[Floor, list[int]]:
    """Three facts, an hour apart, and the moments just before each."""
    moments = []
    for name in ("old", "middle", "young"):
        floor.time.forward(3600)
        moments.append(floor.time.now)
        await within(floor.demo.write(put, name, audience={"all": 2}))
    return floor, moments


async def test_trimming_forgets_the_audience_of_old_facts_and_keeps_the_facts(aged: tuple[Floor, list[int]]) -> None:
    floor, moments = aged
    numbers = floor.numbers()
    before = floor.demo.read_now(counted)
    assert floor.demo.read_now(audience_from) == 1
    assert await within(floor.demo.write_bulk(trim_audience, moments[1])) >= 1
    assert floor.demo.read_now(audience_from) == numbers[1]
    facts = floor.demo.read_now(facts_since, numbers[0] - 1, numbers[2])
    assert [f.audience for f in facts] == [{}, {"all": 2}, {"all": 2}]
    assert floor.demo.read_now(counted) | {"journal_audience": 0} == before | {"journal_audience": 0}
    assert await within(floor.demo.write_bulk(trim_audience, moments[1])) == 0
    assert checked(floor) == []


async def test_a_trim_that_reaches_less_far_than_the_last_takes_nothing_back(aged: tuple[Floor, list[int]]) -> None:
    floor, moments = aged
    await within(floor.demo.write_bulk(trim_audience, moments[2]))
    kept = floor.demo.read_now(audience_from)
    assert await within(floor.demo.write_bulk(trim_audience, moments[0])) == 0
    assert floor.demo.read_now(audience_from) == kept == floor.numbers()[2]


async def test_when_everything_is_old_only_what_comes_next_is_kept(aged: tuple[Floor, list[int]]) -> None:
    floor, _ = aged
    await within(floor.demo.write_bulk(trim_audience, floor.time.now + SECOND))
    assert floor.demo.read_now(audience_from) == head(floor).number + 1
    assert floor.demo.read_now(counted)["journal_audience"] == 0
