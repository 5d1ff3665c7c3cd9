"""Inbound, exactly once: copies, poison, our own faults, and the ledger that accounts for all of it."""

import asyncio
import sqlite3
from collections import Counter
from random import Random
from typing import Any

import pytest
from sqlalchemy import update

from backend.access import companies
from backend.errors import Invalid
from backend.inbox.deliveries import ATTEMPTS, BACK_OFF, retry_due
from backend.leads import reach
from backend.store import journal
from backend.store.tables.inbox import deliveries, units
from tests.world import Stream

from .conftest import Fault
from .meta import PHONE, SENT, Json, Meta, change, delivery, echo, lines, rows, sample, status, statuses, text


async def states(meta: Meta, company: str = "demo") -> Counter[str]:
    return Counter(unit["state"] for unit in await meta.units(company))


async def retried(meta: Meta, seconds: float) -> None:
    """Let the driven clock go on and the retries run. The hub's own tick may come first: then there is nothing left to do."""
    meta.world.time.forward(seconds)
    await meta.world.store.write(retry_due)


# Copies --------------------------------------------------------------------------------------------------------------------


async def test_a_hundred_copies_at_once_are_one_message(meta: Meta) -> None:
    body = sample("whatsapp/01_text.json")
    admin = Stream(meta.world.app, await meta.world.token("admin"))
    async with admin:
        await admin.ready()
        answers = await asyncio.gather(*(meta.send(body) for _ in range(100)))
        await meta.says(text("the end", from_="447700900555"))
        await admin.until(lambda: len(admin.frames()) >= 4)
    assert {answer.status_code for answer in answers} == {200}
    assert len(await meta.messages()) == 2
    facts = await meta.facts()
    assert (facts["message.received"], facts["lead.captured"]) == (2, 2)
    assert (await meta.leads())[0]["unread"] == 1
    assert Counter(await meta.outcomes()) == {("said", "processed", None): 2, ("said", "ignored", "duplicate"): 99}
    assert (await meta.ledger())["received"] == 101
    told = Counter(frame["event"] for frame in admin.frames())
    assert told == {"lead.entered": 2, "timeline.added": 2}
    assert await meta.world.store.read(reach.check) == []
    assert await meta.world.store.read(journal.check) == []


async def test_copies_within_one_post_are_one_message(meta: Meta) -> None:
    twice = text("twice")
    await meta.says(twice, twice)
    assert len(await meta.messages()) == 1
    assert await states(meta) == {"processed": 1, "ignored": 1}


async def test_one_id_on_two_accounts_of_a_company_is_two_messages(meta: Meta) -> None:
    control, other = meta.world.hub.database.control, "880000000000009"
    await control.write(companies.route_channel, "whatsapp", other, meta.world.store.id, None)
    await meta.world.hub.reread_routes()
    together, apart = text("same id, one post"), text("same id, two posts")
    await meta.tell(delivery(change(together), change(together, account=other)))
    await meta.tell(delivery(change(apart)), delivery(change(apart, account=other)))
    assert Counter(m["text"] for m in await meta.messages()) == {together["text"]["body"]: 2, apart["text"]["body"]: 2}
    assert len(await meta.leads()) == 1 and len(await meta.conversations()) == 2


# Poison: the provider's fault ----------------------------------------------------------------------------------------------

POISON: dict[str, Any] = {
    "no id": {"id": None},
    "an id with a blank": {"id": "wamid. 1"},
    "an endless id": {"id": "x" * 513},
    "no type": {"type": None},
    "nobody wrote it": {"from": None},
    "an unreadable number": {"from": "not a number"},
    "no text": {"text": None},
    "a list for a text": {"text": ["hello"]},
}


@pytest.mark.parametrize("spoiled", POISON.values(), ids=POISON)
async def test_poison_is_quarantined_once_with_a_reason_and_its_neighbours_go_on(meta: Meta, spoiled: Json) -> None:
    await meta.says(text("before"), text("poison") | spoiled, text("after"))
    assert [m["text"] for m in await meta.messages()] == ["before", "after"]
    assert await states(meta) == {"processed": 2, "quarantined": 1}
    (bad,) = [unit for unit in await meta.units() if unit["state"] == "quarantined"]
    assert (bad["n"], bad["kind"], bad["attempts"], bad["next_at"]) == (1, "broken", 1, None)
    assert bad["reason"] and PHONE not in bad["reason"]
    for _ in range(3):
        await retried(meta, 1000)
    assert [u["attempts"] for u in await meta.units()] == [1, 1, 1]


async def test_poison_of_every_kind_in_one_post_leaves_every_neighbour(meta: Meta) -> None:
    said: list[Any] = []
    for n, bad in enumerate([None, 7, "x", [], {"id": "wamid.p"}, {**text(), "from": {}}, {**text(), "text": "x"}]):
        said += [text(f"good {n}"), bad]
    await meta.says(*said)
    assert [m["text"] for m in await meta.messages()] == [f"good {n}" for n in range(7)]
    found = await states(meta)
    assert found["processed"] == 7 and found["quarantined"] == sum(found.values()) - 7


async def test_what_the_hub_itself_refuses_as_invalid_is_quarantined_with_the_reason(meta: Meta, fault: Fault) -> None:
    def refuse(*_: Any) -> Any:
        raise Invalid("This can't mean anything.")

    real, fault._real = fault._real, refuse
    await meta.says(text("refused"))
    fault._real = real
    await meta.says(text("fine"))
    assert [o[1:] for o in await meta.outcomes()] == [
        ("quarantined", "This can't mean anything."),
        ("processed", None),
    ]


# Our own faults ------------------------------------------------------------------------------------------------------------


async def test_a_fault_of_ours_waits_and_is_tried_again_until_it_is_gone(meta: Meta, fault: Fault) -> None:
    fault.words = {"unlucky"}
    await meta.says(text("before"), text("unlucky"), text("after"))
    assert [m["text"] for m in await meta.messages()] == ["before", "after"]
    assert await states(meta) == {"processed": 2, "pending": 1}
    (waiting,) = [unit for unit in await meta.units() if unit["state"] == "pending"]
    assert (waiting["n"], waiting["kind"], waiting["reason"]) == (1, "said", "ZeroDivisionError")
    assert (await meta.leads())[0]["unread"] == 2
    fault.words = set()
    await retried(meta, BACK_OFF[0] + 1)
    assert [m["text"] for m in await meta.messages()] == ["before", "after", "unlucky"]
    assert await states(meta) == {"processed": 3}
    assert (await meta.leads())[0]["unread"] == 3
    assert (await meta.facts())["message.received"] == 3
    assert await meta.world.store.read(reach.check) == []


async def test_it_is_not_tried_before_its_time(meta: Meta, fault: Fault) -> None:
    fault.words = {"unlucky"}
    await meta.says(text("unlucky"))
    for seconds in BACK_OFF:
        tried = len(fault.tries)
        await retried(meta, seconds - 1)
        assert len(fault.tries) == tried
        await retried(meta, 1.5)
        assert len(fault.tries) == tried + 1


async def test_a_fault_that_stays_is_given_up_as_failed_and_never_called_the_providers(
    meta: Meta, fault: Fault
) -> None:
    fault.words = {"unlucky"}
    await meta.says(text("unlucky"), text("fine"))
    for attempt, seconds in enumerate(BACK_OFF, start=2):
        await retried(meta, seconds + 1)
        unit = (await meta.units())[0]
        assert unit["attempts"] == attempt
        assert unit["state"] == ("failed" if attempt == ATTEMPTS else "pending")
    assert fault.tries.count("unlucky") == ATTEMPTS
    for _ in range(3):
        await retried(meta, 10_000)
    assert fault.tries.count("unlucky") == ATTEMPTS
    ledger = await meta.ledger()
    assert (ledger["failed"], ledger["processed"], ledger["quarantined"], ledger["pending"]) == (1, 1, 0, 0)
    assert (await meta.units())[0]["next_at"] is None


async def test_a_failed_attempt_leaves_nothing_of_itself(meta: Meta, fault: Fault) -> None:
    fault.words = {"unlucky"}
    await meta.says(text("unlucky"))
    assert await meta.leads() == await meta.messages() == await meta.conversations() == []
    facts = await meta.facts()
    assert facts["lead.captured"] == facts["message.received"] == 0
    assert await meta.world.store.read(reach.check) == []


async def test_trouble_of_the_store_is_no_units_fault_and_is_not_acknowledged(meta: Meta, fault: Fault) -> None:
    fault.words, fault.error = {"unlucky"}, sqlite3.OperationalError("interrupted")
    body = delivery(change(text("fine"), text("unlucky")))
    before = meta.everything()
    answer = await meta.send(body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert meta.everything() == before
    fault.words = set()
    await meta.tell(body)
    assert await states(meta) == {"processed": 2}


async def test_a_message_that_came_again_while_its_unit_waited_is_there_once(meta: Meta, fault: Fault) -> None:
    fault.words = {"unlucky"}
    body = delivery(change(text("unlucky")))
    await meta.tell(body)
    fault.words = set()
    await meta.tell(body)
    await retried(meta, BACK_OFF[0] + 1)
    assert len(await meta.messages()) == 1
    assert sorted(o[1] for o in await meta.outcomes()) == ["ignored", "processed"]


async def test_a_waiting_unit_that_can_no_longer_be_found_does_not_hold_up_the_others(meta: Meta, fault: Fault) -> None:
    fault.words = {"unlucky"}
    await meta.says(text("unlucky one"))
    await meta.says(text("unlucky two"))
    first = (await meta.units())[0]["delivery_id"]
    await meta.world.store.write(lambda tx: tx.run(update(units).where(units.c.delivery_id == first).values(n=9)))
    fault.words = set()
    await retried(meta, BACK_OFF[0] + 1)
    assert [m["text"] for m in await meta.messages()] == ["unlucky two"]
    assert await states(meta) == {"failed": 1, "processed": 1}


# The ledger ----------------------------------------------------------------------------------------------------------------


def _somebody(random: Random) -> Json:
    """Who writes: a number, an id, or both, of a few people; one of them often."""
    n = random.choice([0, 0, 0, 1, 2, 3])
    number, user = f"44770090020{n}", f"GB.{n}"
    return random.choice(
        [{"from_": number}, {"from_": number, "from_user_id": user}, {"from_": None, "from_user_id": user}]
    )


def _anything(random: Random, n: int) -> Json:
    """One change of a random kind, for a random company."""
    company = random.choice(["demo", "demo", "beta"])
    at = SENT + random.randrange(3000)
    match random.randrange(8):
        case 0:
            return statuses(
                status(f"wamid.o{random.randrange(9)}", random.choice(["sent", "read"]), at), company=company
            )
        case 1:
            return change({"id": f"wamid.b{n}", "type": "text"}, company=company)
        case 2:
            return echo(f"answer {n}", at=at, to=f"44770090020{random.randrange(5)}")
        case 3:
            return change(text(f"unlucky {n}", at=at, **_somebody(random)), company=company)
        case 4:
            return change(errors=[{"code": n}], company=company)
        case _:
            return change(*(text(f"{n}", at=at, **_somebody(random)) for _ in range(2)), company=company)


@pytest.mark.parametrize("seed", range(4))
async def test_after_anything_at_all_the_ledger_accounts_for_every_unit(meta: Meta, fault: Fault, seed: int) -> None:
    random = Random(seed)
    fault.words = {"unlucky"}
    bodies = [delivery(*(_anything(random, 10 * n + m) for m in range(random.randrange(1, 4)))) for n in range(40)]
    posts = bodies + random.choices(bodies, k=20)
    random.shuffle(posts)
    for start in range(0, len(posts), 10):
        await asyncio.gather(*(meta.tell(body) for body in posts[start : start + 10]))
        if start == 30:
            fault.words = {"unlucky 1", "unlucky 2"}
        await retried(meta, random.choice([0, 3, 20]))
    for company, store in meta.world.stores.items():
        ledger = await meta.ledger(company)
        received = ledger.pop("received")
        found = await meta.units(company)
        assert received == sum(ledger.values()) == len(found)
        assert ledger["quarantined"] == sum(1 for unit in found if unit["kind"] == "broken")
        said = {unit["provider_id"] for unit in found if unit["kind"] == "said" and unit["state"] == "processed"}
        messages = await meta.messages(company)
        assert {m["provider_id"] for m in messages} == said and len(messages) == len(said)
        facts = await meta.facts(company)
        assert facts["message.received"] + facts["message.echoed"] == len(messages)
        assert ledger["processed"] and ledger["ignored"] and ledger["quarantined"]
        assert await store.read(reach.check) == []
        assert await store.read(journal.check) == []


async def test_the_bytes_of_every_post_are_kept_as_they_came(meta: Meta) -> None:
    odd = sample("whatsapp/01_text.json").replace(b"\n", b"\r\n")
    posts = [odd, *lines("whatsapp/33_status_out_of_order.jsonl")]
    await meta.tell(*posts)
    assert [kept["body"] for kept in await rows(meta.world.store, deliveries)] == posts


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("admin", True),
        ("dev1", True),
        ("manager1", False),
        ("sales1", False),
        ("guest1", False),
        ("integration1", False),
    ],
)
async def test_the_ledger_is_for_who_may_read_it(meta: Meta, name: str, allowed: bool) -> None:
    client = await meta.world.client(name)
    assert (await client.get("/api/v1/webhooks/ledger")).status_code == (200 if allowed else 403)
