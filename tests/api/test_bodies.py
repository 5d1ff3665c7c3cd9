"""What comes in: bodies that are no JSON, parameters that can't be meant, the same call twice, two writes at once."""

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from backend.leads import actions
from backend.store.answers import Key, answered
from backend.store.ids import DAY, SECOND
from tests.world import DEADLINE, World, a_world, contents, within

from .test_authorisation import operations

LEADS = "/api/v1/leads"
JSON = {"Content-Type": "application/json"}


def rows(world: World) -> list[Any]:
    return [contents(store) for store in world.stores.values()]


# Malformed -----------------------------------------------------------------------------------------------------------------

SAMPLES = (
    *("04_wrong_types.json", "09_duplicate_keys.json", "10_nan_infinity.json", "13_huge_int.json", "14_not_json.txt"),
    *("15_invalid_utf8.bin",),
)
MADE: dict[str, bytes] = {
    "20,000 deep": b"[" * 20_000 + b"]" * 20_000,
    "20,000 deep object": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "unclosed": b'{"firm_name":"Acme"',
    "lone surrogate": b'{"firm_name":"\\ud800"}',
    "lone surrogate in a key": b'{"\\udfff":1}',
    "NaN": b'{"firm_name":"Acme","value":NaN}',
    "Infinity": b'{"firm_name":"Acme","value":-Infinity}',
    "1e999": b'{"firm_name":"Acme","value":1e999}',
    "5,000 digits": b'{"firm_name":"Acme","value":' + b"9" * 5000 + b"}",
    "5,000 digits of version": b'{"version":' + b"9" * 5000 + b"}",
    "NUL": b'{"firm_name":"a\\u0000b"}',
    "raw NUL": b'{"firm_name":"a\x00b"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "a list": b"[]",
    "a text": b'"Acme"',
    "null": b"null",
    "a number": b"1",
    "white space": b" \n ",
    "nothing": b"",
    "two documents": b'{"firm_name":"Acme"}{"firm_name":"Acme"}',
    "a comment": b'{"firm_name":"Acme"/**/}',
    "UTF-16": '{"firm_name":"Acme"}'.encode("utf-16"),
    "XML": b"<lead/>",
    "wrong types": b'{"firm_name":{"a":1},"version":"1","status":7,"kind":[],"company":1,"salesperson_ids":"1","fact":1}',
}


async def test_case_37_what_is_not_understood_is_refused_on_every_json_endpoint(
    world: World, hostile: Callable[[str], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    client = await world.client("admin")
    lead = (await world.owned("sales1")).lead
    document = (await client.get("/api/openapi.json")).json()
    paths = [o for o in operations(document) if o.body is not None]
    assert len(paths) >= 10
    bodies = {**MADE, **{name: hostile(name) for name in SAMPLES}}
    before = rows(world)
    for operation in paths:
        path = operation.path.replace("{lead_id}", str(lead.id))
        for what, raw in bodies.items():
            answer = await client.request(operation.method, path, content=raw, headers=JSON)
            assert answer.status_code in (400, 415, 422), (str(operation), what, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] and "Traceback" not in answer.text
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense", ""):
            answer = await client.request(
                operation.method, path, content=b'{"version":1}', headers={"Content-Type": kind}
            )
            assert answer.status_code in (400, 415, 422), (str(operation), kind)
    assert rows(world) == before
    assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")]


NOT_MEANT: tuple[Any, ...] = (
    *(("value", v) for v in (-1, 1e14, 0.001, "18,000", True, "NaN", [1])),
    *(("name", v) for v in ("x" * 201, "\u0007", "a\u0000", 5, ["x"])),
    *(("email", v) for v in ("x", "a@b", "a@b.c\r\nBcc: d@e.f", "a@" + "b" * 300 + ".example")),
    *(("currency", v) for v in ("eur", "EURO", "€", "", "EUR\n")),
    *(
        ("next_followup_at", v)
        for v in (
            "tomorrow",
            "2026-01-01",
            "2026-01-01T10:00:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            10**30,
            "2026-13-01T00:00:00Z",
        )
    ),
    *(("source", v) for v in ("Fax", "", 3)),
    ("comments", "x" * 10_001),
)


async def test_a_value_that_can_not_be_meant_is_refused_by_the_name_of_its_field(world: World) -> None:
    for field, value in NOT_MEANT:
        client, before = await world.client("admin"), rows(world)
        answer = await client.post(LEADS, json={"firm_name": "Acme", field: value})
        assert answer.status_code == 422, (field, value, answer.text)
        assert answer.json()["errors"][0]["field"] == field
        assert rows(world) == before


async def test_case_38_long_strings_are_refused_quickly(world: World) -> None:
    client, long = await world.client("admin"), "a@" * 500_000
    for body in ({"email": long}, {"phone": long}, {"name": long}, {"source": long}, {"comments": long}):
        assert (await asyncio.wait_for(client.post(LEADS, json=body), 5)).status_code == 422
    for path in (LEADS, "/api/v1/inbox/conversations"):
        assert (await asyncio.wait_for(client.get(path, params={"q": "a " * 5000}), 5)).status_code == 422


async def test_case_36_a_body_that_is_too_large_is_refused_announced_or_not(world: World) -> None:
    client = await world.client("admin")
    before = rows(world)

    async def chunks() -> Any:
        for _ in range(70):
            yield b" " * 65_536

    announced = await client.post(LEADS, content=b" " * (3 * 2**20 + 1), headers=JSON)
    chunked = await client.post(LEADS, content=chunks(), headers=JSON)
    lying = await client.post(LEADS, content=chunks(), headers={**JSON, "Content-Length": "10"})
    absurd = await client.post(LEADS, content=b"{}", headers={**JSON, "Content-Length": "9" * 5000})
    for answer in (announced, chunked, lying, absurd):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.headers["x-request-id"]
    assert rows(world) == before


# Parameters ----------------------------------------------------------------------------------------------------------------

PAGED = (LEADS, "/api/v1/leads/board", "/api/v1/inbox/conversations", "/api/v1/views/warrior", "{lead}/timeline")


async def test_case_39_a_page_is_between_one_and_two_hundred_long(world: World) -> None:
    client, lead = await world.client("admin"), (await world.owned("sales1")).lead
    for path in PAGED:
        where = path.replace("{lead}", f"{LEADS}/{lead.id}")
        for limit in (0, -1, 201, 10**9, "9" * 400, "1.5", "ten", "", "1e2"):
            answer = await client.get(where, params={"limit": limit})
            assert answer.status_code == 422, (where, limit)
            assert answer.json()["errors"][0]["field"] == "limit"
        for limit in (1, 200):
            assert (await client.get(where, params={"limit": limit})).status_code == 200


async def test_case_39_a_page_token_is_good_for_its_own_list_of_its_own_company(world: World) -> None:
    admin, beta = await world.client("admin"), await world.client("admin", "beta")
    for company in ("demo", "beta"):
        for _ in range(3):
            await world.lead("admin", company)
    token = (await admin.get(LEADS, params={"limit": 1})).json()["next"]
    assert (await admin.get(LEADS, params={"limit": 1, "page": token})).status_code == 200
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[-1] ^= 1
    forged = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b"\x00" * 16 + b"5").decode()
    for bad in (forged, unsigned, token[:-4], token + "AAAA", "", "x", "%", "é", "\u0000", "A" * 401, "null", "5"):
        answer = await admin.get(LEADS, params={"page": bad})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "page", bad
    for client, where, params in (
        (beta, LEADS, {"limit": 1}),
        (admin, LEADS, {"status": "demo"}),
        (admin, LEADS, {"archived": "true"}),
        (admin, LEADS, {"q": "acme"}),
        (admin, "/api/v1/leads/board", {"status": "contacted"}),
        (admin, "/api/v1/leads/board", {}),
        (admin, "/api/v1/views/salesperson", {}),
        (admin, "/api/v1/inbox/conversations", {}),
    ):
        answer = await client.get(where, params={**params, "page": token})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "page", (where, params)


async def test_an_unknown_parameter_is_refused_everywhere(world: World) -> None:
    client, lead = await world.client("admin"), (await world.owned("sales1")).lead
    for path in (*PAGED, "{lead}", "/api/v1/me", "/api/v1/users", "/api/v1/leads/options", "/api/v1/webhooks/ledger"):
        where = path.replace("{lead}", f"{LEADS}/{lead.id}")
        for name in ("unknown", "Limit", "limit[]", "x" * 500, "__class__"):
            answer = await client.get(where, params={name: "1"})
            assert answer.status_code == 422, (where, name)
            assert answer.json()["errors"][0]["field"] == name[:80]
    before = rows(world)
    assert (await client.post(LEADS, params={"dry": "1"}, json={"firm_name": "Acme"})).status_code == 422
    assert rows(world) == before


NO_IDS: tuple[Any, ...] = (
    "0",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "abc",
    "%00",
    "%20",
    "１２",
    "0x10",
    "9" * 19,
    "9" * 20,
    "9" * 400,
    "'",
    "null",
)


async def test_what_is_no_id_is_as_absent_as_what_is_not_there(world: World) -> None:
    for id_ in NO_IDS:
        client, before = await world.client("admin"), rows(world)
        absent = (await client.get(f"{LEADS}/17")).content
        for method, where, body in (
            ("GET", "", None),
            ("GET", "/timeline", None),
            ("PATCH", "", {"city": "Pune", "version": 1}),
            ("DELETE", "?version=1", None),
            ("POST", "/move", {"status": "demo", "version": 1}),
            ("POST", "/activities", {"kind": "call"}),
        ):
            answer = await client.request(method, f"{LEADS}/{id_}{where}", json=body)
            assert answer.status_code in (404, 405), (method, where)
            if answer.status_code == 404:
                assert answer.content == absent
        assert (await client.get(f"/api/v1/inbox/conversations/{id_}/messages")).status_code == 404
        assert rows(world) == before


NO_IDS_IN_BODIES: tuple[Any, ...] = (
    "0",
    "-1",
    "1.0",
    "abc",
    "9" * 19,
    "9" * 20,
    "",
    " 1",
    "1\n",
    1,
    None,
    2**63,
    "0x1",
    [],
)


async def test_what_is_no_id_in_a_body_is_refused(world: World) -> None:
    for id_ in NO_IDS_IN_BODIES:
        client, lead = await world.client("admin"), (await world.owned("sales1")).lead
        before = rows(world)
        path = f"{LEADS}/{lead.id}"
        answer = await client.post(f"{path}/share", json={"salesperson_ids": [id_], "version": 1})
        assert answer.status_code == 422
        answer = await client.post(f"{path}/move", json={"status": "demo", "version": 1, "after": id_})
        assert answer.status_code == 422 or id_ is None
        if id_ is not None:
            assert (await client.post(f"{path}/assign", json={"warrior_id": id_, "version": 1})).status_code == 422
            assert rows(world) == before


NO_FACTS: tuple[Any, ...] = ("0", "-1", "abc", "9" * 18, "9" * 19, "", " 1", 1, None)


async def test_what_is_no_fact_is_not_undone(world: World) -> None:
    for fact in NO_FACTS:
        client, before = await world.client("admin"), rows(world)
        assert (await client.post("/api/v1/undo", json={"fact": fact})).status_code in (404, 422)
        assert rows(world) == before


# The same call twice -------------------------------------------------------------------------------------------------------


async def keyed(client: httpx.AsyncClient, key: str, path: str = LEADS, **body: Any) -> httpx.Response:
    return await client.post(path, json=body or {"firm_name": "Acme"}, headers={"Idempotency-Key": key})


def leads_of(world: World, company: str = "demo") -> int:
    return len(contents(world.stores[company])["leads"])


async def test_case_42_twenty_equal_calls_at_once_make_one_lead_and_get_one_answer(world: World) -> None:
    client = await world.client("admin")
    answers = await asyncio.gather(*(keyed(client, "k") for _ in range(20)))
    assert {a.status_code for a in answers} == {201} and len({a.content for a in answers}) == 1
    assert leads_of(world) == 1
    journal = [row for row in contents(world.store)["journal"] if row[2] == "lead.captured"]
    assert len(journal) == 1 and answers[0].json()["fact"] == str(journal[0][0])


async def test_case_42_equal_calls_in_one_commit_are_one_call(world: World) -> None:
    viewer, held = await world.viewer("admin"), threading.Event()
    key = Key(viewer.person_id or 0, "k", b"0" * 32)
    before = world.store.write(lambda tx: held.wait(DEADLINE))  # while it holds the writer, the others come together
    calls = [
        world.store.write(
            answered, key, 201, lambda tx, done: {"id": done.lead.id}, actions.capture, viewer, {"firm_name": "Acme"}
        )
        for _ in range(20)
    ]
    held.set()
    assert await within(before)
    answers = await within(asyncio.gather(*calls))
    assert len({answer.body for answer in answers}) == 1 and leads_of(world) == 1


async def test_case_42_the_key_belongs_to_its_body_its_route_its_person_and_its_company(world: World) -> None:
    admin, sales, beta = await world.client("admin"), await world.client("sales1"), await world.client("admin", "beta")
    first = await keyed(admin, "k")
    path = f"{LEADS}/{first.json()['id']}/activities"
    for other in (await keyed(admin, "k", firm_name="Other"), await keyed(admin, "k", path, kind="call")):
        assert other.status_code == 422 and other.json()["code"] == "idempotency_mismatch"
    assert leads_of(world) == 1
    assert (await keyed(sales, "k")).json()["id"] != first.json()["id"]
    assert (await keyed(sales, "k", firm_name="His")).status_code == 422
    assert (await keyed(beta, "k", firm_name="Other")).status_code == 201
    assert (leads_of(world), leads_of(world, "beta")) == (2, 1)


async def test_case_42_a_call_is_answered_again_after_a_restart(folder: Path) -> None:
    async with a_world(folder) as world:
        first = await keyed(await world.client("admin"), "k")
    async with a_world(folder) as world:
        world.time.forward(60)
        again = await keyed(await world.client("admin"), "k")
        assert (again.status_code, again.content) == (201, first.content) and leads_of(world) == 1
        assert (await keyed(await world.client("admin"), "k", firm_name="Other")).status_code == 422


async def test_case_42_a_key_is_kept_for_a_day(world: World) -> None:
    client = await world.client("admin")
    first = (await keyed(client, "k")).json()["id"]
    world.time.forward(DAY // SECOND - 10)
    assert (await keyed(client, "k")).json()["id"] == first
    world.time.forward(20)
    assert (await keyed(client, "k", firm_name="Other")).json()["id"] != first


async def test_case_42_a_refused_call_leaves_its_key_free(world: World) -> None:
    client = await world.client("admin")
    before = rows(world)
    assert (await keyed(client, "k", city="Pune")).status_code == 422
    assert rows(world) == before
    assert (await keyed(client, "k")).status_code == 201


async def test_case_42_every_post_about_a_lead_honours_its_key(world: World) -> None:
    client, lead = await world.client("sales1"), (await world.owned("sales1")).lead
    path, version = f"{LEADS}/{lead.id}", 1
    fact = ""
    for where, body in (
        ("/move", {"status": "demo"}),
        ("/assign", {"warrior_id": str(world.person("warrior1").id)}),
        ("/share", {"salesperson_ids": [str(world.person("sales3").id)]}),
        ("/activities", {"kind": "call"}),
    ):
        sent = body if where == "/activities" else {**body, "version": version}
        answers = [await keyed(client, where, path + where, **sent) for _ in range(3)]
        assert [a.status_code for a in answers] == [200] * 3 and len({a.content for a in answers}) == 1
        version = answers[0].json()["version"]
        fact = fact if where == "/activities" else answers[0].json()["fact"]
    undone = [await keyed(client, "undo", "/api/v1/undo", fact=fact) for _ in range(3)]
    assert [a.status_code for a in undone] == [200] * 3 and len({a.content for a in undone}) == 1
    await client.request("DELETE", path, json={"version": undone[0].json()["version"]})
    restored = [await keyed(client, "r", f"{path}/restore", version=undone[0].json()["version"] + 1) for _ in range(2)]
    assert [a.status_code for a in restored] == [200] * 2


NO_KEYS: tuple[Any, ...] = (b"", b"x" * 256, b"\xff", b"a\tb", b"\x00")


async def test_a_key_that_can_be_none_is_refused(world: World) -> None:
    for key in NO_KEYS:
        client, before = await world.client("admin"), rows(world)
        headers = [*client.headers.raw, (b"idempotency-key", key)]
        answer = await client.post(LEADS, json={"firm_name": "Acme"}, headers=headers)
        if key == b"\xff":  # a letter, in Latin-1
            assert answer.status_code == 201
        else:
            assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "Idempotency-Key"
            assert rows(world) == before


# Two writes at once --------------------------------------------------------------------------------------------------------


async def test_case_43_of_two_writes_that_saw_the_same_one_is_stale(world: World) -> None:
    admin, manager = await world.client("admin"), await world.client("manager1")
    sales2, sales1 = (str(world.person(n).id) for n in ("sales2", "sales1"))
    for method, where, one, other in (
        ("PATCH", "", {"city": "Pune"}, {"city": "Delhi"}),
        ("PATCH", "", {"city": "Pune"}, {"zip_code": "411001"}),
        ("POST", "/assign", {"salesperson_id": sales2}, {"warrior_id": str(world.person("warrior1").id)}),
        ("POST", "/move", {"status": "demo"}, {"status": "trial"}),
        ("POST", "/share", {"salesperson_ids": [sales2]}, {"salesperson_ids": []}),
        ("DELETE", "", {}, {}),
    ):
        lead = (await world.owned("sales1")).lead
        path = f"{LEADS}/{lead.id}{where}"
        answers = await asyncio.gather(
            admin.request(method, path, json={**one, "version": 1}),
            manager.request(method, path, json={**other, "version": 1}),
        )
        codes = sorted(a.status_code for a in answers)
        if where == "/share":
            assert 200 in codes  # sharing with nobody changes nothing and is never stale if it comes first
            continue
        assert codes == [200, 409], (where, [a.text for a in answers])
        loser = next(a for a in answers if a.status_code == 409).json()
        assert (loser["code"], loser["version"]) == ("stale", 2)
        (row,) = [r for r in contents(world.store)["leads"] if r[0] == lead.id]
        assert row[1] == 2
    assert sales1


async def test_case_43_a_version_is_demanded_and_read_strictly(world: World) -> None:
    client, lead = await world.client("sales1"), (await world.owned("sales1")).lead
    path, before = f"{LEADS}/{lead.id}", rows(world)
    for method, where, body in (
        ("PATCH", "", {"city": "Pune"}),
        ("POST", "/move", {"status": "demo"}),
        ("POST", "/assign", {"warrior_id": None}),
        ("POST", "/share", {"salesperson_ids": []}),
        ("POST", "/restore", {}),
        ("DELETE", "", {}),
    ):
        assert (await client.request(method, path + where, json=body)).status_code == 422, where
        for version in (0, -1, 2**53, "1", 1.0, True, None, [1]):
            answer = await client.request(method, path + where, json={**body, "version": version})
            assert answer.status_code == 422, (where, version)
            assert answer.json()["errors"][0]["field"].startswith("version")
        assert (await client.request(method, path + where, json={**body, "version": 7})).status_code == 409
    assert rows(world) == before


async def test_a_version_to_archive_comes_in_the_query_the_body_or_the_header(world: World) -> None:
    client = await world.client("sales1")
    for named in ({"params": {"version": 1}}, {"json": {"version": 1}}, {"headers": {"If-Match": '"1"'}}):
        lead = (await world.owned("sales1")).lead
        answer = await client.request("DELETE", f"{LEADS}/{lead.id}", **named)  # type: ignore[arg-type]
        assert answer.status_code == 200 and answer.json()["archived_at"] and answer.json()["allowed_moves"] == []
    for header in ("*", "", '"x"', "²", "9" * 30):
        lead = (await world.owned("sales1")).lead
        raw = [*client.headers.raw, (b"if-match", header.encode("latin-1"))]
        assert (await client.delete(f"{LEADS}/{lead.id}", headers=raw)).status_code == 422


def test_the_samples_are_what_they_say(hostile: Callable[[str], bytes]) -> None:
    for name in ("10_nan_infinity.json", "13_huge_int.json", "15_invalid_utf8.bin", "14_not_json.txt"):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(hostile(name))
