"""The screens' session: a cookie that only reads by itself; a write brings its proof and comes from our own pages."""

import secrets
from typing import Any

import httpx

import ui.views.signin
from backend.access import signin
from backend.callers import cookie_name, csrf_of
from backend.store.ids import HOUR, SECOND
from backend.store.secrets import hashed
from tests.world import PASSWORD, World, contents

HOURS = HOUR // SECOND


async def cookie_of(world: World, name: str = "sales1", company: str = "demo") -> str:
    """As the sign-in form makes it."""
    store = world.stores[company]
    value = f"{store.id}.{secrets.token_urlsafe(32)}"
    person = world.person(name, company).id
    await store.write(signin.start_session, person, "web", token_hash=hashed(value), end="oldest")
    return value


async def screen(world: World, cookie: str, *, proof: bool = False, **headers: str) -> httpx.AsyncClient:
    client = await world.client()
    client.headers["Cookie"] = f"{cookie_name(world.hub)}={cookie}"
    if proof:
        client.headers["X-CSRF-Token"] = csrf_of(world.hub, cookie)
    client.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return client


async def writes(client: httpx.AsyncClient) -> tuple[int, str]:
    answer = await client.post("/api/v1/leads", json={"firm_name": "Acme"})
    return answer.status_code, answer.json().get("code", "")


async def test_a_cookie_reads_and_with_its_proof_writes(world: World) -> None:
    cookie = await cookie_of(world)
    reader = await screen(world, cookie)
    assert (await reader.get("/api/v1/me")).json()["name"] == "Sales1 of demo"
    assert await writes(await screen(world, cookie, proof=True)) == (201, "")
    browser = {"Origin": "http://hub", "Sec_Fetch_Site": "same-origin"}
    assert await writes(await screen(world, cookie, proof=True, **browser)) == (201, "")


OF_ANOTHER_SITE: tuple[Any, ...] = (
    (False, {}, "csrf"),
    (False, {"X_CSRF_Token": ""}, "csrf"),
    (False, {"X_CSRF_Token": "0" * 64}, "csrf"),
    (False, {"X_CSRF_Token": "\u00e9"}, "csrf"),
    (False, {"Origin": "http://hub", "Sec_Fetch_Site": "same-origin"}, "csrf"),
    (True, {"Origin": "https://evil.example.test"}, "cross_site"),
    (True, {"Origin": "null"}, "cross_site"),
    (True, {"Origin": ""}, "cross_site"),
    (True, {"Origin": "http://hub.evil.example.test"}, "cross_site"),
    (True, {"Origin": "http://hub@evil.example.test"}, "cross_site"),
    (True, {"Origin": "http://hub:8080"}, "cross_site"),
    (True, {"Sec_Fetch_Site": "cross-site"}, "cross_site"),
    (True, {"Sec_Fetch_Site": "same-site"}, "cross_site"),
    (True, {"Origin": "http://hub", "Sec_Fetch_Site": "cross-site"}, "cross_site"),
)


async def test_case_30_a_write_of_another_site_is_refused(world: World) -> None:
    for proof, headers, code in OF_ANOTHER_SITE:
        cookie = await cookie_of(world)
        client = await screen(world, cookie, proof=proof)
        raw = [*client.headers.raw, *((n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in headers.items())]
        before = contents(world.store)
        for method, path, body in (
            ("POST", "/api/v1/leads", {"firm_name": "Acme"}),
            ("PATCH", "/api/v1/leads/17", {"city": "Pune", "version": 1}),
            ("DELETE", "/api/v1/leads/17?version=1", None),
            ("POST", "/api/v1/auth/logout", None),
        ):
            answer = await client.request(method, path, json=body, headers=raw)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
        assert contents(world.store) == before


async def test_case_30_the_proof_of_another_session_proves_nothing(world: World) -> None:
    mine, other = await cookie_of(world), await cookie_of(world, "sales2")
    client = await screen(world, mine, X_CSRF_Token=csrf_of(world.hub, other))
    assert await writes(client) == (403, "csrf")


async def test_case_30_a_form_of_another_page_writes_nothing(world: World) -> None:
    client = await screen(world, await cookie_of(world), proof=True)
    before = contents(world.store)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await client.post("/api/v1/leads", content=b'{"firm_name":"Acme"}', headers={"Content-Type": kind})
        assert answer.status_code in (415, 422), kind
    assert contents(world.store) == before


async def test_a_session_in_use_ends_after_fourteen_days(world: World) -> None:
    used = await screen(world, await cookie_of(world))
    for hour in range(0, 14 * 24, 11):
        assert (await used.get("/api/v1/me")).status_code == 200, hour
        world.time.forward(11 * HOURS)
        await world.store.write_bulk(lambda tx: None)  # behind the note that it was seen
    world.time.forward(11 * HOURS)
    assert (await used.get("/api/v1/me")).status_code == 401


async def test_a_session_left_alone_ends_after_twelve_hours(world: World) -> None:
    one, other = await screen(world, await cookie_of(world)), await screen(world, await cookie_of(world, "sales2"))
    world.time.forward(12 * HOURS - 5)
    assert (await one.get("/api/v1/me")).status_code == 200
    world.time.forward(10)
    assert (await other.get("/api/v1/me")).status_code == 401


async def test_case_25_a_cookie_that_was_set_before_signing_in_names_no_session(world: World) -> None:
    planted = f"{world.store.id}.{'x' * 43}"
    victim = await screen(world, planted)
    answer = await victim.post(
        "/api/v1/auth/login",
        json={"company": "demo", "username": "sales1", "password": PASSWORD},
    )
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert (await victim.get("/api/v1/me")).status_code == 401
    assert await cookie_of(world) != await cookie_of(world)


async def test_case_25_the_form_gives_a_new_cookie_at_each_sign_in_whatever_the_browser_brought(world: World) -> None:
    ui.views.signin.install(world.app, world.hub, None)  # type: ignore[arg-type]
    form = {"company": "demo", "username": "sales1", "password": PASSWORD}
    given = set()
    for planted in ("", f"{world.store.id}.planted", f"{world.store.id}.planted"):
        client = await screen(world, planted)
        answer = await client.post("/signin", data=form)
        assert answer.status_code == 303, answer.text
        (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{cookie_name(world.hub)}=")]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
        value = cookie.partition("=")[2].partition(";")[0]
        assert (await (await screen(world, value)).get("/api/v1/me")).status_code == 200
        given.add(value)
    assert len(given) == 3 and not any("planted" in value for value in given)


async def test_case_25_a_cookie_is_worth_nothing_after_logout(world: World) -> None:
    cookie = await cookie_of(world)
    client = await screen(world, cookie, proof=True)
    assert (await client.post("/api/v1/auth/logout")).status_code == 204
    assert (await client.get("/api/v1/me")).status_code == 401


NO_COOKIES: tuple[Any, ...] = (
    "x",
    "1",
    ".",
    "1.",
    "-1.x",
    "{own}",
    "{own}.",
    "{own}.x",
    "9" * 19 + ".x",
    "9" * 300,
    "{own}." + "x" * 300,
    "%00",
)


async def test_a_made_up_cookie_opens_nothing(world: World) -> None:
    for cookie in NO_COOKIES:
        client = await screen(world, cookie.replace("{own}", str(world.store.id)))
        nobody = await (await world.client()).get("/api/v1/me")
        answer = await client.get("/api/v1/me")
        assert (answer.status_code, answer.content) == (401, nobody.content)


async def test_a_cookie_of_one_company_opens_no_other(world: World) -> None:
    value = (await cookie_of(world)).partition(".")[2]
    client = await screen(world, f"{world.stores['beta'].id}.{value}")
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_what_is_kept_of_a_cookie_does_not_open_anything(world: World) -> None:
    cookie = await cookie_of(world)
    kept: list[Any] = contents(world.store)["sessions"]
    assert cookie not in str(kept) and hashed(cookie) in [row[3] for row in kept]
