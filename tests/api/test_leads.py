"""Leads over HTTP."""

from tests.world import Stream, World


async def test_a_lead_is_captured_moved_and_seen(world: World) -> None:
    admin, sales1, sales3 = [await world.client(n) for n in ("admin", "sales1", "sales3")]
    made = await admin.post("/api/v1/leads", json={"firm_name": "Acme", "phone": "+447700900142", "value": 18000})
    assert made.status_code == 201, made.text
    lead = made.json()
    assert lead["status"] == "contacted" and lead["salesperson"]["name"] == "Sales1 of demo" and lead["version"] == 1
    assert (await sales1.get(f"/api/v1/leads/{lead['id']}")).json()["firm_name"] == "Acme"
    assert (await sales3.get(f"/api/v1/leads/{lead['id']}")).status_code == 404
    moved = await sales1.post(f"/api/v1/leads/{lead['id']}/move", json={"status": "demo", "version": 1})
    assert moved.status_code == 200 and moved.json()["version"] == 2, moved.text
    stale = await sales1.post(f"/api/v1/leads/{lead['id']}/move", json={"status": "trial", "version": 1})
    assert stale.status_code == 409 and stale.json()["code"] == "stale"
    board = (await sales1.get("/api/v1/leads/board")).json()
    assert board["columns"]["demo"]["n"] == 1 and board["columns"]["demo"]["items"][0]["id"] == lead["id"]
    found = await sales1.get("/api/v1/leads", params={"q": "acm"})
    assert [x["id"] for x in found.json()["items"]] == [lead["id"]]
    timeline = (await sales1.get(f"/api/v1/leads/{lead['id']}/timeline")).json()["items"]
    assert [x["kind"] for x in timeline] == ["lead.moved", "lead.captured"]


async def test_a_stream_tells_what_the_viewer_sees(world: World) -> None:
    lead = (await world.owned("sales1")).lead
    sales1 = Stream(world.app, await world.token("sales1"))
    sales3 = Stream(world.app, await world.token("sales3"))
    admin = await world.client("admin")
    async with sales1, sales3:
        await sales1.ready(), await sales3.ready()
        answer = await admin.post(
            f"/api/v1/leads/{lead.id}/assign", json={"salesperson_id": str(world.person("sales3").id), "version": 1}
        )
        assert answer.status_code == 200, answer.text
        await sales1.until(lambda: bool(sales1.frames()))
        await sales3.until(lambda: len(sales3.frames()) == 2)
    left = sales1.frames()[-1]
    assert left["event"] == "lead.left" and set(left["data"]) == {"v", "prev", "lead", "version"}
    assert [f["event"] for f in sales3.frames()] == ["lead.entered", "notice"]
    assert sales3.frames()[0]["data"]["row"]["id"] == str(lead.id)
