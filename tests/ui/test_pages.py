"""Pages without a browser: the door, its policy, what an unsigned socket gets, the set-up of an empty hub."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from nicegui.testing.general import nicegui_reset_globals

from backend.app import create_app
from backend.hub import Hub
from backend.settings import Settings
from tests.world import PASSWORD, Time


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    with nicegui_reset_globals():
        app = create_app(Hub(Settings(data=folder, bcrypt_rounds=4, secret_key="test " * 8), Time()))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
                yield client


def form(**changes: str) -> dict[str, str]:
    return {"company": "demo", "username": "sales1", "password": PASSWORD, **changes}


async def test_the_door_asks_company_username_and_password_under_a_strict_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/signin")
    assert answer.status_code == 200
    assert re.findall(r'<input id="(\w+)"', answer.text) == ["company", "username", "password"]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "<script" not in answer.text


async def test_signing_in_sets_a_new_hidden_cookie_each_time(client: httpx.AsyncClient) -> None:
    client.cookies.set("leadfloor", "1.chosen-by-somebody-else")
    cookies = []
    for _ in range(2):
        answer = await client.post("/signin", data=form())
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        header = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("leadfloor="))
        assert "HttpOnly" in header and "samesite=lax" in header.lower()
        cookies.append(header.split(";")[0])
    assert len(set(cookies)) == 2 and "chosen" not in "".join(cookies)


async def test_a_wrong_password_says_the_same_as_a_wrong_name(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/signin", data=form(**wrong)) for wrong in ({"password": "x"}, {"company": "nobody"})]
    said = {re.search(r'role="alert"[^>]*>([^<]+)<', a.text).group(1) for a in answers}  # type: ignore[union-attr]
    assert {a.status_code for a in answers} == {401} and len(said) == 1


async def test_another_sites_form_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/signin", data=form(), headers={"origin": "http://evil.example"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


async def test_an_account_for_programs_has_no_screens(client: httpx.AsyncClient) -> None:
    answer = await client.post("/signin", data=form(username="integration1"))
    assert answer.status_code == 403 and "API" in answer.text


async def test_a_page_sends_strangers_to_the_door_and_carries_a_nonce_on_every_script(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/board")).headers["location"] == "/signin"
    await client.post("/signin", data=form())
    assert (await client.get("/")).headers["location"] == "/board"
    page = await client.get("/board")
    assert page.status_code == 200
    nonce = re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"]).group(1)  # type: ignore[union-attr]
    scripts = re.findall(r"<script\b[^>]*>", page.text)
    assert scripts and all(f'nonce="{nonce}"' in script for script in scripts)
    assert (await client.get("/board")).headers["content-security-policy"] != page.headers["content-security-policy"]


async def test_signing_out_ends_the_session(client: httpx.AsyncClient) -> None:
    await client.post("/signin", data=form())
    kept = client.cookies.get("leadfloor")
    await client.post("/signout")
    client.cookies.set("leadfloor", kept or "")
    assert (await client.get("/board")).headers["location"] == "/signin"


async def test_a_socket_without_a_session_is_refused(client: httpx.AsyncClient) -> None:
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    assert (await client.get(path)).status_code == 403
    await client.post("/signin", data=form())
    assert (await client.get(path, headers={"origin": "http://evil.example"})).status_code == 403
    assert (await client.get(path)).status_code == 200


async def test_the_side_of_the_board_needs_a_session(client: httpx.AsyncClient) -> None:
    assert (await client.get("/board/side")).status_code == 401
    await client.post("/signin", data=form())
    side = (await client.get("/board/side")).json()
    assert set(side) == {"feed", "kpis", "load"}


async def test_an_empty_hub_is_set_up_once_by_its_link(tmp_path: Path) -> None:
    with nicegui_reset_globals():
        hub = Hub(Settings(data=tmp_path / "new", bcrypt_rounds=4), Time())
        app = create_app(hub)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client,
        ):
            link = f"/setup/{hub.setup_token()}"
            assert (await client.get("/setup/guess")).status_code == 303
            assert "Set up your floor" in (await client.get(link)).text
            given = {"company": "Acme", "slug": "acme", "name": "Ann", "username": "ann", "password": "short"}
            assert (await client.post(link, data=given)).status_code == 422
            done = await client.post(link, data={**given, "password": "long enough to be one"})
            assert done.status_code == 303 and done.headers["location"] == "/"
            assert (await client.get("/")).headers["location"] == "/board"
            assert (await client.get(link)).status_code == 303


async def test_machines_never_get_a_page(client: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/me", 405),
        ("PUT", "/api/v1/leads/1", 405),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
