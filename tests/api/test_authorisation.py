"""Every route of the document, for every role and nobody, on ids of one's own, of another company and of nothing."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import orjson
import pytest

from backend.access import people
from backend.access.scope import Viewer
from backend.errors import Conflict, HubError, Invalid, NotAllowed
from backend.leads import actions, hierarchy
from tests.world import World, contents

ROLES = (
    *("admin", "manager1", "sales1", "cosales1", "warrior1", "partner1", "support1", "integration1", "dev1", "guest1"),
)
STREAM = "/api/v1/stream"  # stays open: its own tests


class Operation(NamedTuple):
    method: str
    path: str
    public: bool
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def of_one_thing(self) -> bool:
        return "_id}" in self.path


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            body = sample(schema, document) if schema else None
            yield Operation(method.upper(), path, operation.get("security") == [], body)


def sample(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Something that the schema allows: examples where it has them."""
    if "$ref" in schema:
        return sample(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], document)
    match schema.get("type"):
        case "object":
            needed = set(schema.get("required", ())) or {"phone", "salesperson_id"}
            return {n: sample(s, document) for n, s in schema.get("properties", {}).items() if n in needed}
        case "array":
            return [sample(schema["items"], document)]
        case "integer":
            return 1
        case _:
            return "call"


class Ids(NamedTuple):
    own: dict[str, str]
    foreign: dict[str, str]
    absent: dict[str, str]


async def _ids(world: World) -> Ids:
    """A lead with a conversation in each company, as the paths name them. The one in demo is everybody's."""
    found = {}
    for company in ("demo", "beta"):
        store, admin = world.stores[company], await world.viewer("admin", company)
        lead = (await world.lead("admin", company, phone="+447700900142")).lead
        people_ = {n: world.person(n, company) for n in ("sales1", "warrior1", "support1", "partner1")}
        given = {"salesperson_id": people_["sales1"].id, "warrior_id": people_["warrior1"].id}
        given |= {"support_id": people_["support1"].id, "partner_company_id": people_["partner1"].partner_company_id}
        done = await store.write(actions.assign, admin, lead.id, given, version=lead.version)
        await store.write(actions.move, admin, lead.id, "trial", version=done.lead.version)
        found[company] = {"{lead_id}": str(lead.id), "{conversation_id}": str(lead.id + 1), "{view}": "warrior"}
    return Ids(found["demo"], found["beta"], {"{lead_id}": "17", "{conversation_id}": "17", "{view}": "warrior"})


async def ask(client: httpx.AsyncClient, operation: Operation, ids: dict[str, str], **more: Any) -> httpx.Response:
    path = operation.path
    for name, value in ids.items():
        path = path.replace(name, value)
    return await client.request(operation.method, path, json=operation.body, **more)


def rows(world: World) -> list[Any]:
    return [contents(store) for store in world.stores.values()]


async def document_of(world: World) -> list[Operation]:
    document = (await (await world.client()).get("/api/openapi.json")).json()
    return [o for o in operations(document) if o.path != STREAM]


async def test_case_08_nobody_is_let_in_but_where_the_document_says_public(world: World) -> None:
    ids, nobody = await _ids(world), await world.client()
    found = await document_of(world)
    for operation in found:
        if operation.public:
            assert (await ask(nobody, operation, ids.own)).status_code < 500, operation
    before = rows(world)
    answers = [await ask(nobody, operation, which) for operation in found if not operation.public for which in ids]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1 and rows(world) == before
    assert (await nobody.get(STREAM)).status_code == 401


PUBLIC = {
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "GET /api/webhook/whatsapp",
    "POST /api/webhook/whatsapp",
    "GET /healthz",
    "GET /readyz",
}


async def test_case_08_exactly_these_routes_are_public(world: World) -> None:
    assert {str(o) for o in await document_of(world) if o.public} == PUBLIC


@pytest.mark.parametrize("who", ROLES)
async def test_case_01_what_is_another_companys_looks_like_what_is_not_there(world: World, who: str) -> None:
    ids, client = await _ids(world), await world.client(who)
    for operation in await document_of(world):
        if operation.public or operation.path.endswith("/logout"):
            continue
        before = rows(world)
        if operation.of_one_thing:
            foreign, absent = [await ask(client, operation, which) for which in (ids.foreign, ids.absent)]
            assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content), operation
            assert foreign.status_code in ((404,) if "conversation" not in operation.path else (403, 404)), operation
            assert rows(world) == before, operation
        answer = await ask(client, operation, ids.own)
        assert answer.status_code < 500, operation
        assert answer.status_code != 401, operation
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert rows(world) == before, operation
    assert contents(world.stores["beta"]) == before[1]


# may: 2xx for these, 403 for all others; the lead of `_ids` is in everybody's reach
MAY = {
    "POST /api/v1/leads": "admin manager1 sales1 cosales1 warrior1 partner1 support1 integration1 dev1",
    "GET /api/v1/leads/{lead_id}/timeline": "admin manager1 sales1 cosales1 warrior1 partner1 support1 dev1 guest1",
    "POST /api/v1/leads/{lead_id}/activities": "admin manager1 sales1 cosales1 warrior1 support1 dev1",
    "GET /api/v1/inbox/conversations": "admin manager1 sales1 cosales1 warrior1 partner1 support1 dev1",
    "GET /api/v1/webhooks/ledger": "admin dev1",
    "GET /api/v1/users": " ".join(ROLES),
    "GET /api/v1/leads": " ".join(ROLES),
    "GET /api/v1/leads/{lead_id}": " ".join(ROLES),
    "GET /api/v1/leads/board": " ".join(ROLES),
    "GET /api/v1/leads/options": " ".join(ROLES),
    "GET /api/v1/views/{view}": " ".join(ROLES),
    "GET /api/v1/me": " ".join(ROLES),
}


@pytest.mark.parametrize("who", ROLES)
async def test_case_08_a_route_serves_the_roles_of_the_contract_and_no_other(world: World, who: str) -> None:
    ids, client = await _ids(world), await world.client(who)
    found = {str(o): o for o in await document_of(world)}
    for route, allowed in MAY.items():
        before = rows(world)
        answer = await ask(client, found[route], ids.own)
        if who in allowed.split():
            assert answer.status_code in (200, 201), (route, answer.text)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), route
            assert rows(world) == before


async def test_case_02_a_colleagues_lead_is_not_found_and_a_visible_one_not_written(world: World) -> None:
    other = (await world.owned("sales3")).lead
    visible = (await world.owned("sales1")).lead
    before = rows(world)
    for who in ("warrior1", "sales1", "manager1", "partner1", "support1"):
        client = await world.client(who)
        before = rows(world)
        absent = (await client.get("/api/v1/leads/17")).content
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/timeline", None),
            ("PATCH", "", {"city": "Pune", "version": 1}),
            ("DELETE", "?version=1", None),
            ("POST", "/move", {"status": "demo", "version": 1}),
        ):
            answer = await client.request(method, f"/api/v1/leads/{other.id}{path}", json=body)
            assert (answer.status_code, answer.content) == (404, absent), (who, method, path)
        assert rows(world) == before
    guest = await world.client("guest1")
    before = rows(world)
    for lead in (other, visible):
        assert (await guest.get(f"/api/v1/leads/{lead.id}")).status_code == 200
        for method, path, body in (
            ("PATCH", "", {"city": "Pune", "version": 1}),
            ("DELETE", "?version=1", None),
            ("POST", "/move", {"status": "demo", "version": 1}),
            ("POST", "/share", {"salesperson_ids": [], "version": 1}),
            ("POST", "/activities", {"kind": "note", "text": "hm"}),
        ):
            assert (await guest.request(method, f"/api/v1/leads/{lead.id}{path}", json=body)).status_code == 403
    assert rows(world) == before


async def test_case_04_a_foreign_id_in_a_body_is_as_unknown_as_an_absent_one(world: World) -> None:
    beta, machine = world.stores["beta"], Viewer.system("test")
    given = {"username": "only-here", "name": "Only in beta", "role": "SALESPERSON"}
    stranger = (await beta.write(people.add, machine, given)).id
    foreign_lead = (await world.lead("admin", "beta")).lead.id
    lead = (await world.owned("sales1")).lead
    admin, before = await world.client("admin"), rows(world)
    path = f"/api/v1/leads/{lead.id}"
    for unknown in (stranger, 17, 2**63 - 1):
        for where, body in (
            ("/assign", {"salesperson_id": str(unknown)}),
            ("/assign", {"warrior_id": str(unknown)}),
            ("/assign", {"partner_company_id": str(unknown)}),
            ("/share", {"salesperson_ids": [str(unknown)]}),
        ):
            answer = await admin.post(path + where, json={**body, "version": 1})
            assert answer.status_code == 422 and answer.json()["code"] == "unknown_reference"
    assert rows(world) == before
    beside = [
        (await admin.post(f"{path}/move", json={"status": "demo", "version": 1, "after": str(i)})).json()["rank"]
        for i in (foreign_lead,)
    ]
    assert beside[0].startswith("-")  # on top, as with no neighbour at all


OF_THE_HUB = (
    *("id", "status", "rank", "salesperson", "salesperson_id", "warrior_id", "support_id", "unread", "version"),
    *("created_at", "created_by", "updated_at", "archived_at", "lost_reason", "phone_reversed", "sla", "fact", "role"),
    *("tenant_id", "company_id", "owner_id", "is_deleted", "__proto__", ""),
)


async def test_case_06_a_field_of_the_hubs_own_is_refused_in_every_body(world: World) -> None:
    client, lead = await world.client("admin"), (await world.owned("sales1")).lead
    before, path = rows(world), f"/api/v1/leads/{lead.id}"
    for method, where, body in (
        ("POST", "/api/v1/leads", {"firm_name": "Acme"}),
        ("PATCH", path, {"city": "Pune", "version": 1}),
        ("POST", f"{path}/move", {"status": "demo", "version": 1}),
        ("POST", f"{path}/assign", {"warrior_id": None, "salesperson_id": None, "support_id": None, "version": 1}),
        ("POST", f"{path}/activities", {"kind": "call"}),
        ("POST", "/api/v1/auth/login", {"company": "demo", "username": "a", "password": "b"}),
        ("POST", "/api/v1/undo", {"fact": "1"}),
    ):
        for field in set(OF_THE_HUB) - set(body):
            answer = await client.request(method, where, json={**body, field: "1"})
            assert answer.status_code == 422, (where, field)
            assert answer.json()["errors"][0]["field"] == (field or "body"), answer.text
    assert rows(world) == before


async def test_case_06_the_sample_of_a_mass_assignment_changes_nothing(world: World, hostile: Any) -> None:
    client, lead = await world.client("admin"), (await world.owned("sales1")).lead
    before, body = rows(world), orjson.loads(hostile("23_lead_mass_assignment.json"))
    assert (await client.post("/api/v1/leads", json=body)).status_code == 422
    assert (await client.patch(f"/api/v1/leads/{lead.id}", json={**body, "version": 1})).status_code == 422
    assert rows(world) == before


async def test_case_07_a_field_that_one_may_not_read_does_not_filter_either(world: World) -> None:
    await world.owned("sales1", firm_name="Acme", phone="+447700900142")
    await world.owned("sales1", firm_name="", phone="+447700900777")
    await world.owned("sales1", firm_name="", email="priya@example.com")
    guest, partner, sales = [await world.client(n) for n in ("guest1", "partner1", "sales1")]

    async def found(client: httpx.AsyncClient, **params: str) -> int:
        return len((await client.get("/api/v1/leads", params=params)).json()["items"])

    for q in ("900142", "+447700900777", "447700900777", "4477009", "priya", "priya@example.com"):
        assert await found(guest, q=q) == 0, q
        assert await found(sales, q=q) >= 1, q
    everything = (await guest.get("/api/v1/leads")).text
    assert not any(secret in everything for secret in ("77009", "priya", "example.com"))
    assert await found(guest, q="acme") == 1
    answer = await partner.get("/api/v1/leads", params={"owner": str(world.person("sales1").id)})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "owner"
    for name in ("sort", "order_by", "fields", "filter", "value", "phone"):
        answer = await sales.get("/api/v1/leads", params={name: "phone"})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == name


async def test_case_09_nobody_gives_himself_another_role_and_an_admin_stays(world: World) -> None:
    admin = world.person("admin")
    given = {"username": "mallory", "name": "Mallory", "role": "ADMIN"}

    async def refused(error: type[HubError], who: str, action: Any, *args: Any, **named: Any) -> None:
        before = rows(world)
        with pytest.raises(error):
            await world.store.write(action, await world.viewer(who), *args, **named)
        assert rows(world) == before

    for who in ROLES[1:]:
        me = world.person(who)
        await refused(NotAllowed, who, hierarchy.move_person, me.id, version=me.version, role="ADMIN")
        await refused(NotAllowed, who, hierarchy.add_person, given)
    await refused(Conflict, "admin", hierarchy.move_person, admin.id, version=1, role="GUEST")
    await refused(Conflict, "admin", people.suspend, admin.id, version=1)
    sales1 = world.person("sales1")
    for places in ({"role": "ROOT"}, {"username": "root"}, {"manager_id": 17}, {"data_visibility": "Everything"}, {}):
        await refused(Invalid, "admin", hierarchy.move_person, sales1.id, version=sales1.version, **places)


async def test_case_10_a_query_language_in_a_parameter_is_taken_literally(world: World, hostile: Any) -> None:
    await world.owned("sales1", firm_name="Acme")
    client, before = await world.client("admin"), rows(world)
    strings = [*_texts(orjson.loads(hostile("24_filter_injection.json")))]
    for text in [
        *strings,
        "' OR 1=1--",
        '" OR ""="',
        "%",
        "_",
        "1); DROP TABLE leads;--",
        "\\",
        "*",
        "{{7*7}}",
        "\u0000",
    ]:
        for path in ("/api/v1/leads", "/api/v1/inbox/conversations", "/api/v1/leads/board", "/api/v1/leads/" + "x"):
            for name in ("q", "status", "owner", "source", "channel", "page", "limit", "archived"):
                answer = await client.get(path, params={name: text})
                assert answer.status_code in (200, 404, 422), (path, name, text)
                if answer.status_code == 200 and path == "/api/v1/leads" and name == "q" and text != "x":
                    assert answer.json()["items"] == [], text
    assert rows(world) == before


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
