"""The providers' door: who may speak for which account, and what is kept of everything that cannot be read."""

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from backend.access import companies
from backend.api.webhooks import MOST_BYTES
from backend.channels.simulate import sign
from backend.store.database import Store, connect
from backend.store.tables.inbox import deliveries
from tests.inbox.meta import PHONE, ROUTE, SENT, Meta, change, delivery, rows, sample, text
from tests.world import ACCOUNTS, World, a_world

HANDSHAKE = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
OWN = b"beta's own app secret"


@pytest.fixture
async def meta(world: World) -> Meta:
    world.time.now = (SENT + 3600) * 1_000_000
    return Meta(world, await world.client())


async def account(world: World, number: str, company_id: int, secret: bytes | None) -> None:
    """Give an account to a company; `secret` is sealed here."""
    sealed = None if secret is None else world.hub.keys.seal(secret, "channel_routes.secret")
    await world.hub.database.control.write(companies.route_channel, "whatsapp", number, company_id, sealed)
    await world.hub.reread_routes()


# The handshake -------------------------------------------------------------------------------------------------------------


async def test_the_handshake_answers_the_challenge_as_plain_text(meta: Meta) -> None:
    token = {"hub.verify_token": meta.world.hub.verify_token()}
    answer = await meta.client.get(ROUTE, params=HANDSHAKE | token)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "wrong",
    [
        {"hub.verify_token": "not ours"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "ö\u2028"},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": ""},
        {"hub.challenge": "<script>alert(1)</script>"},
        {"hub.challenge": "12 34"},
        {"hub.challenge": "١٢٣"},
        {"hub.challenge": ""},
    ],
)
async def test_any_other_handshake_is_refused_and_reflects_nothing(meta: Meta, wrong: dict[str, str]) -> None:
    right = HANDSHAKE | {"hub.verify_token": meta.world.hub.verify_token()}
    answer = await meta.client.get(ROUTE, params=right | wrong)
    assert answer.status_code == 403
    assert "script" not in answer.text and meta.world.hub.verify_token() not in answer.text
    assert (await meta.client.get(ROUTE)).status_code == 403


# Signatures ----------------------------------------------------------------------------------------------------------------

BODY = delivery(change(text("from a stranger")))
WRITTEN_AGAIN = orjson.dumps(orjson.loads(BODY), option=orjson.OPT_INDENT_2)
FLIPPED = BODY.replace(b"stranger", b"strangeq")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(BODY, lambda right: [], id="missing"),
        pytest.param(BODY, lambda right: [""], id="empty"),
        pytest.param(BODY, lambda right: ["sha256=" + "0" * 64], id="wrong"),
        pytest.param(BODY, lambda right: [right[:-1]], id="truncated"),
        pytest.param(BODY, lambda right: [right + "0"], id="too long"),
        pytest.param(BODY, lambda right: [right[:-1] + ("1" if right[-1] == "0" else "0")], id="one digit flipped"),
        pytest.param(BODY, lambda right: ["sha256=" + right[7:].upper()], id="upper case"),
        pytest.param(BODY, lambda right: [right[7:]], id="without its prefix"),
        pytest.param(BODY, lambda right: [right.replace("sha256", "sha1")], id="another prefix"),
        pytest.param(BODY, lambda right: [right, right], id="two headers, both right"),
        pytest.param(BODY, lambda right: [right, "sha256=" + "0" * 64], id="two headers, the first right"),
        pytest.param(BODY, lambda right: ["sha256=" + "0" * 64, right], id="two headers, the last right"),
        pytest.param(BODY, lambda right: [f"{right}, {right}"], id="two in one header"),
        pytest.param(BODY, lambda right: [sign(b"", BODY)], id="signed with no secret"),
        pytest.param(WRITTEN_AGAIN, lambda right: [right], id="the body written again"),
        pytest.param(FLIPPED, lambda right: [right], id="one byte of the body flipped"),
        pytest.param(BODY + b"\n", lambda right: [right], id="one byte more"),
        pytest.param(b"", lambda right: [right], id="no body"),
    ],
)
async def test_a_body_without_its_signature_leaves_nothing_behind(
    meta: Meta, body: bytes, headers: Callable[[str], list[str]]
) -> None:
    before = meta.everything()
    given = [("X-Hub-Signature-256", value) for value in headers(sign(meta.secret, BODY))]
    answer = await meta.client.post(ROUTE, content=body, headers=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert meta.secret.decode() not in answer.text
    assert meta.everything() == before


async def test_the_old_header_with_sha1_is_no_signature(meta: Meta) -> None:
    before = meta.everything()
    old = f"sha1={hmac.new(meta.secret, BODY, sha1).hexdigest()}"
    answer = await meta.client.post(ROUTE, content=BODY, headers={"X-Hub-Signature": old})
    assert answer.status_code == 401
    assert meta.everything() == before


async def test_a_signed_body_is_taken(meta: Meta) -> None:
    assert (await meta.send(BODY)).status_code == 200
    assert [m["text"] for m in await meta.messages()] == ["from a stranger"]


async def test_an_independent_vector_of_the_signature_is_taken(folder: Path) -> None:
    kept = orjson.loads(sample("signatures/vectors.json"))
    (headers,) = (v["headers"] for v in kept["vectors"] if v["file"] == "whatsapp/01_text.json")
    async with a_world(folder, meta_app_secret=kept["meta_app_secret"]) as world:
        client = await world.client()
        answer = await client.post(ROUTE, content=sample("whatsapp/01_text.json"), headers=headers)
        assert answer.status_code == 200
        assert len(await Meta(world, client).messages()) == 1


async def test_in_production_no_secret_means_no_webhooks_and_no_handshake(folder: Path) -> None:
    async with a_world(folder, env="production", public_url="https://hub.example") as world:
        meta = Meta(world, await world.client())
        before = meta.everything()
        assert world.hub.app_secret() == ""
        unkeyed = f"sha256={hmac.new(b'', BODY, sha256).hexdigest()}"
        answer = await meta.client.post(ROUTE, content=BODY, headers={"X-Hub-Signature-256": unkeyed})
        assert answer.status_code == 401
        assert meta.everything() == before
        for token in ("", world.hub.keys.derived("meta-verify-token").hex()):
            assert (await meta.client.get(ROUTE, params=HANDSHAKE | {"hub.verify_token": token})).status_code == 403


# Whose account -------------------------------------------------------------------------------------------------------------


async def test_a_post_for_two_companies_is_stored_in_both_each_with_its_own_units(meta: Meta) -> None:
    ours, theirs = text("for demo"), text("for beta")
    body = delivery(change(ours, text("also for demo")), change(theirs, company="beta"))
    await meta.tell(body)
    assert [m["text"] for m in await meta.messages("demo")] == ["for demo", "also for demo"]
    assert [m["text"] for m in await meta.messages("beta")] == ["for beta"]
    assert [u["n"] for u in await meta.units("demo")] == [0, 1]
    assert [u["n"] for u in await meta.units("beta")] == [2]
    assert (await meta.ledger("demo"))["received"] == 2
    assert (await meta.ledger("beta"))["received"] == 1
    assert await meta.unrouted() == []
    for store in meta.world.stores.values():
        assert [kept["body"] for kept in await rows(store, deliveries)] == [body]


async def test_the_same_phone_and_message_id_in_two_companies_are_two_independent_leads(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/01_text.json"), sample("hostile/08_cross_tenant_same_wamid.json"))
    (ours,), (theirs,) = await meta.messages("demo"), await meta.messages("beta")
    assert ours["provider_id"] == theirs["provider_id"]
    (a,), (b,) = await meta.leads("demo"), await meta.leads("beta")
    assert (a["phone"], b["phone"]) == (f"+{PHONE}", f"+{PHONE}")
    assert (a["name"], b["name"]) == ("Priya Raman", "B")
    assert (a["unread"], b["unread"]) == (1, 1)
    before = meta.everything()["demo"]
    await meta.says(text("only for beta"), company="beta")
    assert meta.everything()["demo"] == before


async def test_an_unknown_account_is_kept_for_the_operator(meta: Meta) -> None:
    body = delivery(change(text(), account="880000000000000"))
    await meta.tell(body)
    (kept,) = await meta.unrouted()
    assert (kept["channel"], kept["body"]) == ("whatsapp", body)
    assert kept["reason"] == "no company has the account 880000000000000"
    assert await meta.messages("demo") == await meta.messages("beta") == []


async def test_a_stranger_in_a_post_does_not_hold_up_the_others(meta: Meta) -> None:
    await meta.tell(delivery(change(text(), account="880000000000000"), change(text("ours"))))
    assert [m["text"] for m in await meta.messages()] == ["ours"]
    assert len(await meta.unrouted()) == 1


async def test_a_company_that_is_not_active_does_not_hold_up_the_others(meta: Meta) -> None:
    half_made = await meta.world.hub.database.control.write(companies.create, "gamma", "Gamma")
    await account(meta.world, "880000000000003", half_made.id, None)
    await meta.tell(delivery(change(text("theirs"), account="880000000000003"), change(text("ours"))))
    assert [m["text"] for m in await meta.messages()] == ["ours"]
    (kept,) = await meta.unrouted()
    assert kept["reason"] == "the company of the account 880000000000003 is not active"


async def test_the_secret_of_one_company_speaks_for_no_other(meta: Meta) -> None:
    await account(meta.world, ACCOUNTS["beta"], meta.world.stores["beta"].id, OWN)
    ours, theirs = delivery(change(text("to demo"))), delivery(change(text("to beta"), company="beta"))
    before = meta.everything()
    assert (await meta.send(ours, OWN)).status_code == 200  # authentic, but not for that account
    assert (await meta.send(theirs, meta.secret)).status_code == 200
    after = meta.everything()
    assert (after["demo"], after["beta"]) == (before["demo"], before["beta"])
    assert [k["body"] for k in await meta.unrouted()] == [ours, theirs]
    assert (await meta.send(theirs, OWN)).status_code == 200
    assert [m["text"] for m in await meta.messages("beta")] == ["to beta"]


async def test_a_post_for_two_companies_reaches_only_the_one_whose_secret_signed_it(meta: Meta) -> None:
    await account(meta.world, ACCOUNTS["beta"], meta.world.stores["beta"].id, OWN)
    both = delivery(change(text("to demo")), change(text("to beta"), company="beta"))
    assert (await meta.send(both, OWN)).status_code == 200
    assert await meta.messages("demo") == []
    assert [m["text"] for m in await meta.messages("beta")] == ["to beta"]
    assert len(await meta.unrouted()) == 1


async def test_two_accounts_of_one_app_are_both_heard_though_each_secret_is_sealed_apart(meta: Meta) -> None:
    beta = meta.world.stores["beta"].id
    await account(meta.world, ACCOUNTS["beta"], beta, OWN)
    await account(meta.world, "880000000000004", beta, OWN)
    for number in (ACCOUNTS["beta"], "880000000000004"):
        body = delivery(change(text(f"to {number}"), account=number))
        assert (await meta.send(body, OWN)).status_code == 200
    assert await meta.unrouted() == []
    assert len(await meta.messages("beta")) == 2


async def test_a_company_may_have_the_app_of_the_deployment_as_its_own(meta: Meta) -> None:
    await account(meta.world, ACCOUNTS["beta"], meta.world.stores["beta"].id, meta.secret)
    await meta.says(text("to beta"), company="beta")
    assert [m["text"] for m in await meta.messages("beta")] == ["to beta"]


async def test_a_secret_that_does_not_open_silences_its_own_account_alone(
    meta: Meta, caplog: pytest.LogCaptureFixture
) -> None:
    control = meta.world.hub.database.control
    elsewhere = meta.world.hub.keys.seal(OWN, "another place")
    beta = meta.world.stores["beta"].id
    await control.write(companies.route_channel, "whatsapp", ACCOUNTS["beta"], beta, elsewhere)
    await meta.world.hub.reread_routes()
    for secret in (OWN, b""):
        theirs = delivery(change(text("to beta"), company="beta"))
        assert (await meta.send(theirs, secret)).status_code == 401
    assert (await meta.send(delivery(change(text(), company="beta")))).status_code == 200  # not its secret: unrouted
    await meta.says(text("to demo"))
    assert [m["text"] for m in await meta.messages("demo")] == ["to demo"]
    assert await meta.messages("beta") == []
    assert "can't be opened" in caplog.text and OWN.decode() not in caplog.text


# What can't be read --------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "wrong types": sample("hostile/04_wrong_types.json"),
    "duplicate keys": sample("hostile/09_duplicate_keys.json"),
    "NaN and Infinity": sample("hostile/10_nan_infinity.json"),
    "an integer of 5,000 digits": sample("hostile/13_huge_int.json"),
    "a form": sample("hostile/14_not_json.txt"),
    "invalid UTF-8": sample("hostile/15_invalid_utf8.bin"),
    "a lone surrogate": b'{"object":"whatsapp_business_account","entry":[{"id":"\\ud800"}]}',
    "20,000 levels": b'{"object":"whatsapp_business_account","entry":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "nothing": b"",
    "null": b"null",
    "an object of another kind": b'{"object":"page","entry":[]}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_unreadable_bytes_are_kept_when_signed_and_refused_when_not(meta: Meta, body: bytes) -> None:
    before = meta.everything()
    assert (await meta.client.post(ROUTE, content=body)).status_code == 401
    assert meta.everything() == before
    await meta.tell(body)
    (kept,) = await meta.unrouted()
    assert kept["body"] == body and kept["reason"]
    assert await meta.units("demo") == await meta.units("beta") == []


async def test_a_change_without_an_account_is_kept_and_its_neighbours_go_on(meta: Meta) -> None:
    await meta.tell(delivery({"field": "messages", "value": {"messages": [text()]}}, change(text("ours"))))
    (kept,) = await meta.unrouted()
    assert kept["reason"] == "no phone_number_id in: messages"
    assert [m["text"] for m in await meta.messages()] == ["ours"]


async def test_the_content_type_does_not_matter_to_signed_bytes(meta: Meta) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"):
        body = delivery(change(text(kind)))
        headers = {"X-Hub-Signature-256": sign(meta.secret, body), "Content-Type": kind}
        assert (await meta.client.post(ROUTE, content=body, headers=headers)).status_code == 200
    assert len(await meta.messages()) == 3


# Size ----------------------------------------------------------------------------------------------------------------------


def padded(length: int) -> bytes:
    body = delivery(change(text("large")))
    return body + b" " * (length - len(body))


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in chunks"])
async def test_three_megabytes_are_taken_and_one_byte_more_is_not(meta: Meta, announced: bool) -> None:
    async def post(body: bytes) -> int:
        async def chunks() -> Any:
            for start in range(0, len(body), 1 << 18):
                yield body[start : start + (1 << 18)]

        headers = {"X-Hub-Signature-256": sign(meta.secret, body)}
        return (await meta.client.post(ROUTE, content=body if announced else chunks(), headers=headers)).status_code

    before = meta.everything()
    assert await post(padded(MOST_BYTES + 1)) == 413
    assert meta.everything() == before
    assert await post(padded(MOST_BYTES)) == 200
    assert [m["text"] for m in await meta.messages()] == ["large"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_none_of_its_business(meta: Meta, method: str) -> None:
    assert (await meta.client.request(method, ROUTE)).status_code == 405


# The store is away ---------------------------------------------------------------------------------------------------------


async def _full(store: Store) -> None:
    """No page more than there are: what a full disk does, for this database alone."""
    await store.write(lambda tx: tx._connection.execute("PRAGMA max_page_count=1"))


async def _room_again(store: Store) -> None:
    store._writing.execute("PRAGMA max_page_count=1000000")


async def _shut(store: Store) -> None:
    store._writing.close()


async def _opened_again(store: Store) -> None:
    store._writing = connect(store.path)


@pytest.mark.parametrize(
    ("padding", "gone", "back"),
    [
        pytest.param("message", _full, _room_again, id="no room for the message"),
        pytest.param("body", _full, _room_again, id="no room for the bytes"),
        pytest.param("", _shut, _opened_again, id="closed"),
    ],
)
async def test_while_the_store_is_away_nothing_is_acknowledged_and_nothing_half_stored(
    meta: Meta,
    padding: str,
    gone: Callable[[Store], Awaitable[None]],
    back: Callable[[Store], Awaitable[None]],
) -> None:
    large = "x" * 400_000
    first = text("first", **({"note": large} if padding == "message" else {}))
    body = delivery(change(first, text("second"), **({"note": large} if padding == "body" else {})))
    await meta.says(text("before"))
    before = meta.everything()
    await gone(meta.world.store)
    for _ in range(2):
        answer = await meta.send(body)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "2"
    await meta.says(text("to beta"), company="beta")
    await back(meta.world.store)
    assert meta.everything()["demo"] == before["demo"]
    assert len(await meta.messages("beta")) == 1
    await meta.tell(body, body)
    assert [m["text"] for m in await meta.messages()] == ["before", "first", "second"]
    assert [state for _, state, _ in await meta.outcomes()] == ["processed"] * 3 + ["ignored"] * 2


async def test_a_post_for_two_companies_one_of_them_away_is_finished_by_the_retry(meta: Meta) -> None:
    body = delivery(change(text("for beta"), company="beta"), change(text("for demo")))
    await _shut(meta.world.store)
    assert (await meta.send(body)).status_code == 503
    await _opened_again(meta.world.store)
    await meta.tell(body)
    assert [m["text"] for m in await meta.messages("demo")] == ["for demo"]
    assert [m["text"] for m in await meta.messages("beta")] == ["for beta"]
    assert await meta.outcomes("beta") == [("said", "processed", None), ("said", "ignored", "duplicate")]


async def test_an_interrupted_write_of_the_store_says_nothing_of_its_inside(meta: Meta) -> None:
    await _shut(meta.world.store)
    answer = await meta.send(delivery(change(text("secret words"))))
    await _opened_again(meta.world.store)
    for inside in ("sqlite", "Traceback", "secret words", str(meta.world.store.path)):
        assert inside not in answer.text
