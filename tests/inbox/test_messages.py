"""What somebody writes: which lead it reaches, what is shown of it, and what it leaves alone."""

from typing import Any

import orjson
import pytest

from backend.leads import actions, reach
from backend.store import journal
from tests.world import Stream, World

from .meta import PHONE, SENT, Json, Meta, change, delivery, echo, lines, sample, text

PRIYA, SAM = "GB.70914425538120096", "NG.5561208890017733"


def contact(name: str, **ids: str) -> Json:
    return {"profile": {"name": name}} | ids


def data_of(message: Json) -> Json:
    data: Json = orjson.loads(message["data"])
    return data


async def owner_of(world: World, lead: Json, company: str = "demo") -> str | None:
    by_id = {person.id: name for name, person in world.people[company].items()}
    return by_id.get(lead["salesperson_id"])


# Every sample, through the real route --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type_", "shown", "kept"),
    [
        ("01_text", "text", "Hello, is the evening data course still open? मुझे जानकारी चाहिए 🙂", {}),
        ("04_text_forwarded", "text", "Scholarship offer 50%!!", {"frequently_forwarded": True}),
        ("05_image", "image", "my transcript", {}),
        ("07_video", "video", "campus tour question", {}),
        ("08_document", "document", "Document: CV – Priya (final).pdf", {}),
        ("10_location", "location", "Location: Branch office", {}),
        ("15_interactive_button_reply", "interactive", "Call me", {}),
        ("18_order", "order", "Order: 12 items, 46.00 GBP – deliver Friday", {}),
        ("21_unsupported", "unsupported", "Unsupported message: poll", {}),
    ],
)
async def test_a_sample_becomes_a_lead_a_conversation_and_a_message(
    meta: Meta, name: str, type_: str, shown: str, kept: Json
) -> None:
    await meta.tell(sample(f"whatsapp/{name}.json"))
    (lead,), (conversation,), (message,) = await meta.leads(), await meta.conversations(), await meta.messages()
    assert (lead["name"], lead["phone"], lead["source"]) == ("Priya Raman", f"+{PHONE}", "WhatsApp")
    assert (lead["unread"], lead["last_message"], lead["version"]) == (1, shown, 1)
    assert lead["waiting_since"] == lead["last_message_at"] == message["sent_at"]
    assert abs(message["sent_at"] - SENT * 1_000_000) < 3_600_000_000
    assert (message["direction"], message["type"], message["text"]) == ("in", type_, shown)
    assert message["lead_id"] == lead["id"] and message["conversation_id"] == conversation["id"]
    assert conversation["lead_id"] == lead["id"] and conversation["unread"] == 1
    assert conversation["last_inbound_at"] == message["sent_at"]
    assert data_of(message).items() >= kept.items()
    assert await meta.outcomes() == [("said", "processed", None)]
    facts = await meta.facts()
    assert (facts["lead.captured"], facts["message.received"]) == (1, 1)
    assert await meta.ledger() == {
        **{"received": 1, "processed": 1, "ignored": 0},
        **{"quarantined": 0, "failed": 0, "pending": 0},
    }


async def test_somebody_without_a_phone_number_is_a_lead_all_the_same(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/02_text_bsuid_only.json"))
    (lead,) = await meta.leads()
    assert (lead["name"], lead["phone"], lead["last_message"]) == ("Sam", None, "price list please")
    (message,) = await meta.messages()
    assert data_of(message)["username"] == "sam.okafor"


async def test_an_unknown_type_is_shown_and_kept_whole(meta: Meta) -> None:
    odd = text() | {"type": "hologram", "hologram": {"rays": [1, 2, {"deep": "kept"}]}}
    await meta.says(odd)
    (message,) = await meta.messages()
    assert (message["type"], message["text"]) == ("hologram", "Unknown message type: hologram")
    assert data_of(message)["hologram"] == odd["hologram"]
    assert (await meta.leads())[0]["waiting_since"] is not None


async def test_the_ad_that_somebody_came_from_is_the_source_and_is_kept(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/22_referral_ctwa.json"))
    (lead,), (message,) = await meta.leads(), await meta.messages()
    assert lead["source"] == "WhatsApp ad"
    assert data_of(message)["referral"]["ctwa_clid"] == "ARAmadeupclid01"
    assert data_of(message)["referral"]["source_id"] == "120210000000000111"


async def test_an_ad_later_on_does_not_change_where_the_lead_came_from(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/01_text.json"), sample("whatsapp/22_referral_ctwa.json"))
    (lead,) = await meta.leads()
    assert lead["source"] == "WhatsApp"
    assert [("referral" in data_of(m)) for m in await meta.messages()] == [False, True]


async def test_a_referral_needs_none_of_its_members(meta: Meta) -> None:
    await meta.says(text(referral={"unheard_of": 1}))
    assert (await meta.leads())[0]["source"] == "WhatsApp ad"


async def test_broken_answers_of_a_form_are_flagged_and_the_message_shown(meta: Meta) -> None:
    await meta.tell(sample("hostile/30_flow_response_bad_json.json"))
    (message,) = await meta.messages()
    assert message["text"] == "Form reply: Sent"
    assert data_of(message)["flow_error"] is True
    assert "{not json" in message["data"].decode()


async def test_a_path_in_a_file_name_stays_a_text(meta: Meta) -> None:
    await meta.tell(sample("hostile/02_document_traversal_name.json"))
    (message,) = await meta.messages()
    assert message["text"] == r"Document: ..\..\..\static\evil.html"
    assert not list(meta.world.hub.settings.data.glob("**/*evil*"))


async def test_markup_stays_literal_in_everything_that_is_answered(meta: Meta) -> None:
    await meta.tell(sample("hostile/01_whatsapp_xss_text.json"))
    admin = await meta.world.client("admin")
    lead = (await admin.get("/api/v1/leads")).json()["items"][0]
    conversation = (await admin.get("/api/v1/inbox/conversations")).json()["items"][0]
    name, said = '"><svg onload=alert(2)>', "<img src=x onerror=alert(1)><script>fetch('/api/v1/users')</script>"
    assert lead["name"] == conversation["lead"]["name"] == name
    assert lead["last_message"].startswith(said)
    for path in (
        "/api/v1/leads",
        f"/api/v1/leads/{lead['id']}/timeline",
        f"/api/v1/inbox/conversations/{conversation['id']}/messages",
        "/api/v1/inbox/conversations",
    ):
        answer = await admin.get(path)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
    messages = (await admin.get(f"/api/v1/inbox/conversations/{conversation['id']}/messages")).json()["items"]
    assert messages[0]["text"].startswith(said) and "{{7*7}}" in messages[0]["text"]
    timeline = (await admin.get(f"/api/v1/leads/{lead['id']}/timeline")).json()["items"]
    assert any(said in orjson.dumps(item, option=0).decode().replace('\\"', '"') for item in timeline)


async def test_absurd_times_give_way_to_the_time_of_arrival(meta: Meta) -> None:
    posts = lines("hostile/06_timestamp_extremes.jsonl")
    began = meta.world.time.now
    await meta.tell(*posts)
    messages = await meta.messages()
    assert len(messages) == len(posts)
    for message in messages:
        assert message["sent_at"] == message["received_at"]
        assert began < message["sent_at"] < meta.world.time.now
    admin = await meta.world.client("admin")
    assert (await admin.get("/api/v1/inbox/conversations")).status_code == 200


# Who it is -----------------------------------------------------------------------------------------------------------------


async def test_identities_told_together_once_find_the_same_lead_apart(meta: Meta) -> None:
    await meta.says(text("both", from_user_id=PRIYA))
    await meta.says(text("the id alone", from_=None, from_user_id=PRIYA))
    await meta.says(text("the number alone"))
    assert len(await meta.leads()) == 1
    assert [m["text"] for m in await meta.messages()] == ["both", "the id alone", "the number alone"]


@pytest.mark.parametrize("first", [{}, {"from_": None, "from_user_id": PRIYA}], ids=["number first", "id first"])
async def test_identities_are_joined_by_a_later_message_that_has_both(meta: Meta, first: Json) -> None:
    await meta.says(text("one of them", **first))
    await meta.says(text("both", from_user_id=PRIYA))
    await meta.says(text("number"), text("id", from_=None, from_user_id=PRIYA))
    (lead,) = await meta.leads()
    assert lead["unread"] == 4


async def test_two_leads_are_never_merged_by_a_message_that_names_both(meta: Meta) -> None:
    await meta.says(text("by number"), text("by id", from_=None, from_user_id=PRIYA))
    await meta.says(text("of both", from_user_id=PRIYA), text("number again"))
    by_number, by_id = await meta.leads()
    said: dict[int, list[str]] = {by_number["id"]: [], by_id["id"]: []}
    for message in await meta.messages():
        said[message["lead_id"]].append(message["text"])
    assert list(said.values()) == [["by number", "number again"], ["by id", "of both"]]


async def test_a_contact_card_is_found_by_its_id_and_not_by_its_place(meta: Meta) -> None:
    people = [contact("Sam", user_id=SAM), contact("Priya", wa_id=PHONE, user_id=PRIYA)]
    messages = [text("p", from_user_id=PRIYA), text("s", from_=None, from_user_id=SAM)]
    await meta.says(*messages, contacts=people)
    assert [lead["name"] for lead in await meta.leads()] == ["Priya", "Sam"]


async def test_a_lead_captured_by_hand_is_found_by_its_number(meta: Meta) -> None:
    lead = (await meta.world.owned("sales2", phone="+44 7700 900142", first_name="Pia")).lead
    await meta.tell(sample("whatsapp/01_text.json"))
    (after,) = await meta.leads()
    assert (after["id"], after["name"], after["version"], after["unread"]) == (lead.id, "Pia", 1, 1)
    await meta.says(text("the id alone", from_=None, from_user_id=PRIYA))
    assert len(await meta.leads()) == 1


async def test_a_number_without_a_country_typed_by_hand_is_nobody_elses(meta: Meta) -> None:
    await meta.world.owned("sales2", phone=PHONE)
    await meta.says(text())
    assert len(await meta.leads()) == 2


# Whose it is ---------------------------------------------------------------------------------------------------------------


async def test_in_demo_a_new_lead_goes_to_the_salesperson_with_the_fewest_open_leads(meta: Meta) -> None:
    for owner in ("sales1", "sales1", "sales2", "sales3", "sales3"):
        await meta.world.owned(owner)
    await meta.tell(sample("whatsapp/01_text.json"))
    lead = (await meta.leads())[-1]
    assert (await owner_of(meta.world, lead), lead["status"]) == ("sales2", "contacted")


async def test_leads_of_one_post_are_spread_though_nothing_is_committed_in_between(meta: Meta) -> None:
    await meta.says(*(text(f"hi {n}", from_=f"44770090010{n}") for n in range(6)))
    owners = [await owner_of(meta.world, lead) for lead in await meta.leads()]
    assert sorted(owners, key=str) == sorted(["sales1", "sales2", "sales3"] * 2)
    assert await meta.world.store.read(reach.check) == []


async def test_in_beta_a_new_lead_stays_in_the_pool(meta: Meta) -> None:
    await meta.says(text(), company="beta")
    (lead,) = await meta.leads("beta")
    assert (lead["salesperson_id"], lead["status"]) == (None, "new")
    for name, sees in (("manager1", 1), ("support1", 1), ("sales1", 0), ("warrior1", 0), ("partner1", 0)):
        client = await meta.world.client(name, "beta")
        assert len((await client.get("/api/v1/inbox/conversations")).json()["items"]) == sees, name


# What it leaves alone, and what it wakes -----------------------------------------------------------------------------------


async def test_a_message_does_not_make_a_colleagues_edit_stale(meta: Meta) -> None:
    lead = (await meta.world.owned("sales1", phone=f"+{PHONE}")).lead
    sales1 = await meta.world.client("sales1")
    seen = (await sales1.get(f"/api/v1/leads/{lead.id}")).json()
    await meta.says(text("while he types"))
    answer = await sales1.patch(f"/api/v1/leads/{lead.id}", json={"city": "Leeds", "version": seen["version"]})
    assert answer.status_code == 200, answer.text
    (after,) = await meta.leads()
    assert (after["city"], after["version"], after["unread"]) == ("Leeds", 2, 1)
    assert seen["updated_at"] != answer.json()["updated_at"]


async def test_a_message_changes_neither_version_nor_update_nor_place(meta: Meta) -> None:
    await meta.says(text("first"))
    (before,) = await meta.leads()
    await meta.says(text("second", at=SENT + 5))
    (after,) = await meta.leads()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"last_message", "last_message_at", "unread"}


async def test_a_message_brings_an_archived_lead_back_to_its_people(meta: Meta) -> None:
    world = meta.world
    lead = (await world.owned("sales1", phone=f"+{PHONE}")).lead
    for _ in range(2):
        await world.owned("sales1")
    await world.store.write(actions.archive, await world.viewer("sales1"), lead.id, version=1)
    sales1, sales3 = [Stream(world.app, await world.token(name)) for name in ("sales1", "sales3")]
    async with sales1, sales3:
        await sales1.ready(), await sales3.ready()
        await meta.says(text("are you there?"))
        await sales1.until(lambda: len(sales1.frames()) >= 2)
    assert sales1.frames()[0]["event"] == "lead.entered"
    assert sales1.frames()[0]["data"]["row"]["id"] == str(lead.id)
    assert sales3.frames() == []
    client = await world.client("sales1")
    column = (await client.get("/api/v1/leads/board")).json()["columns"]["contacted"]
    top = column["items"][0]
    assert (top["id"], top["last_message"], column["n"]) == (str(lead.id), "are you there?", 3)
    assert (await (await world.client("sales3")).get(f"/api/v1/leads/{lead.id}")).status_code == 404
    assert (await meta.facts())["lead.restored"] == 1
    assert await world.store.read(reach.check) == []
    assert await world.store.read(journal.check) == []


async def test_an_archived_lead_is_restored_once_however_often_the_webhook_comes(meta: Meta) -> None:
    lead = (await meta.world.owned("sales1", phone=f"+{PHONE}")).lead
    body = delivery(change(text("back")))
    viewer = await meta.world.viewer("sales1")
    await meta.world.store.write(actions.archive, viewer, lead.id, version=1)
    await meta.tell(body)
    (back,) = await meta.leads()
    await meta.world.store.write(actions.archive, viewer, lead.id, version=back["version"])
    await meta.tell(body)
    assert (await meta.leads())[0]["archived_at"] is not None
    assert (await meta.facts())["lead.restored"] == 1


# Waiting and unread --------------------------------------------------------------------------------------------------------


async def seen(meta: Meta) -> tuple[int, int | None, str]:
    """(unread, seconds since SENT that the lead has been waiting from, last message)."""
    (lead,) = await meta.leads()
    (conversation,) = await meta.conversations()
    assert lead["unread"] == conversation["unread"]
    waiting = lead["waiting_since"]
    return lead["unread"], None if waiting is None else waiting // 1_000_000 - SENT, lead["last_message"]


async def test_somebody_waits_from_his_first_message_until_he_is_answered(meta: Meta) -> None:
    await meta.says(text("one", at=SENT + 10))
    await meta.says(text("two", at=SENT + 20))
    assert await seen(meta) == (2, 10, "two")
    await meta.tell(delivery(echo("yes?", at=SENT + 30)))
    assert await seen(meta) == (0, None, "yes?")
    await meta.says(text("three", at=SENT + 40))
    assert await seen(meta) == (1, 40, "three")
    assert (await meta.facts())["message.echoed"] == 1


async def test_an_older_message_that_comes_late_does_not_become_the_last_one(meta: Meta) -> None:
    await meta.says(text("newer", at=SENT + 20))
    await meta.says(text("older", at=SENT + 10))
    unread, _, last = await seen(meta)
    assert (unread, last) == (2, "newer")


async def test_an_answer_that_comes_late_has_not_answered_what_was_written_after_it(meta: Meta) -> None:
    await meta.says(text("one", at=SENT + 10))
    await meta.says(text("two", at=SENT + 30))
    await meta.tell(delivery(echo("to one", at=SENT + 20)))
    assert await seen(meta) == (2, 10, "two")


async def test_a_repeated_message_makes_nobody_wait_and_nothing_unread(meta: Meta) -> None:
    body = delivery(change(text("once", at=SENT + 10)))
    await meta.tell(body, delivery(echo("answer", at=SENT + 20)), body)
    assert await seen(meta) == (0, None, "answer")


async def test_an_echo_to_somebody_unknown_makes_no_lead(meta: Meta) -> None:
    await meta.tell(delivery(echo("hello?")))
    assert await meta.leads() == await meta.messages() == []
    assert await meta.outcomes() == [("said", "ignored", "sent from the phone to somebody who is no lead")]


async def test_an_echo_is_an_outgoing_message_of_the_lead(meta: Meta) -> None:
    await meta.says(text("question"))
    await meta.tell(delivery(echo("answer", at=SENT + 9)))
    (conversation,) = await meta.conversations()
    assert [m["direction"] for m in await meta.messages()] == ["in", "out"]
    assert conversation["last_inbound_at"] == SENT * 1_000_000
    assert conversation["last_message_at"] == (SENT + 9) * 1_000_000


async def test_logging_a_call_answers_whoever_waited(meta: Meta) -> None:
    await meta.says(text("call me"))
    (lead,) = await meta.leads()
    client = await meta.world.client("admin")
    given: dict[str, Any] = {"kind": "call", "text": "spoke"}
    assert (await client.post(f"/api/v1/leads/{lead['id']}/activities", json=given)).status_code == 200
    (after,) = await meta.leads()
    assert (after["waiting_since"], after["unread"]) == (None, 0)


async def test_a_number_that_is_revealed_later_becomes_the_leads_own(meta: Meta) -> None:
    await meta.says(text("the id alone", from_=None, from_user_id=PRIYA))
    await meta.says(text("both", from_user_id=PRIYA))
    await meta.says(text("the number alone"))
    assert [lead["phone"] for lead in await meta.leads()] == [f"+{PHONE}"]
