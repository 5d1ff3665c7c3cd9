"""How the hub says no: one shape, an id on everything, and never a secret."""

import logging
from typing import Any

import httpx
import pytest

from tests.world import PASSWORD, World

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status and document["code"] == code
    assert document["type"] == f"urn:leadfloor:{code}" and document["title"] and document["detail"]
    return document


async def test_every_refusal_is_a_problem_document(world: World) -> None:
    admin, guest, nobody = [await world.client(n) for n in ("admin", "guest1", None)]
    lead = (await world.owned("sales1")).lead
    path = f"/api/v1/leads/{lead.id}"
    is_problem(await nobody.get("/api/v1/me"), 401, "not_signed_in")
    is_problem(await guest.post("/api/v1/leads", json={"firm_name": "Acme"}), 403, "not_allowed")
    is_problem(await admin.get("/api/v1/leads/17"), 404, "not_found")
    is_problem(await admin.get("/api/v2/leads"), 404, "not_found")
    is_problem(await admin.put(path, json={}), 405, "method_not_allowed")
    stale = is_problem(await admin.patch(path, json={"city": "Pune", "version": 3}), 409, "stale")
    assert stale["version"] == 1
    illegal = is_problem(await admin.post(f"{path}/move", json={"status": "won", "version": 1}), 409, "illegal_move")
    assert "won" not in illegal["allowed"]
    invalid = is_problem(await admin.post("/api/v1/leads", json={"value": -1, "x": 1}), 422, "invalid")
    assert {e["field"] for e in invalid["errors"]} == {"value", "x"} and all(e["message"] for e in invalid["errors"])
    ruled = is_problem(await admin.post("/api/v1/leads", json={"email": "x"}), 422, "invalid")
    assert [e["field"] for e in ruled["errors"]] == ["email"]
    lost = is_problem(await admin.post(f"{path}/move", json={"status": "lost", "version": 1}), 422, "invalid")
    assert [e["field"] for e in lost["errors"]] == ["reason"]


async def test_everything_carries_a_request_id_and_the_headers_of_safety(world: World) -> None:
    admin, seen = await world.client("admin"), set()
    for path in ("/api/v1/me", "/api/v1/leads/17", "/healthz", "/readyz", "/api/openapi.json", "/nowhere"):
        answer = await admin.get(path, headers={"X-Request-Id": "chosen-by-the-caller"})
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
        assert len(answer.headers.get_list("x-request-id")) == 1
        seen.add(answer.headers["x-request-id"])
    assert len(seen) == 6 and "chosen-by-the-caller" not in seen
    assert "strict-transport-security" not in answer.headers  # plain http in development


async def test_a_failure_of_ours_says_nothing_of_the_inside_but_has_its_id(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise RuntimeError("CANARY of the inside")

    world.app.add_api_route("/broken", broken)
    answer = await (await world.client()).get("/broken")
    is_problem(answer, 500, "internal")
    assert "CANARY" not in answer.text and "Traceback" not in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert answer.headers["x-request-id"] in record.getMessage()


async def test_case_35_no_secret_is_in_a_log_or_an_answer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client, said = await world.client(), []
    canary = "CANARY-password-7f3a"
    login = {"company": "demo", "username": "sales1", "password": PASSWORD}
    for body in (
        {**login, "password": canary},
        {**login, "password": canary, canary: 1},
        {**login, "password": [canary]},
    ):
        said.append(await client.post("/api/v1/auth/login", json=body))
    signed_in = (await client.post("/api/v1/auth/login", json=login)).json()
    access, refresh = signed_in["access_token"], signed_in["refresh_token"]
    headers = {"Authorization": f"Bearer {access}"}
    said.append(await client.get("/api/v1/me", headers=headers))
    said.append(await client.get("/api/v1/leads/17", headers=headers))
    said.append(await client.get("/api/v1/me", headers={"Authorization": f"Bearer {access}x"}))
    said.append(await client.post("/api/v1/auth/refresh", json={"refresh_token": refresh + "x"}))
    said.append(await client.post("/api/v1/auth/refresh", json={"refresh_token": [refresh]}))
    secrets = [canary, access, refresh, world.hub.settings.secret_key, world.hub.keys.derived("access-token").hex()]
    logged = "\n".join(f"{r.getMessage()} {r.exc_text or ''}" for r in caplog.records)
    for secret in secrets:
        assert secret not in logged
        assert not [a for a in said if secret in a.text and a.json().get("errors", [{}])[0].get("field") != canary]
