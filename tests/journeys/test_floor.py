"""The floor as people use it: two windows, a message, a drag, a hand-over, a sign-out from elsewhere."""

from typing import Any

from playwright.async_api import Page, expect

from .conftest import Demo, Windows

SOON = 10_000
"""Milliseconds that a window may take on a machine that is busy with other things; how fast it really is, `make bench` says."""


async def a_lead_of(demo: Demo, username: str, status: str = "contacted") -> dict[str, Any]:
    """One that is his alone: no warrior, no share."""
    admin = await demo.api("admin")
    owner = await person(demo, username)
    items = (await admin.get("/api/v1/leads", params={"owner": owner, "status": status, "limit": 100})).json()["items"]
    return next(x for x in items if x["phone"] and not x["warrior"] and not x["shared_with"])


async def person(demo: Demo, username: str) -> str:
    users = (await (await demo.api("admin")).get("/api/v1/users")).json()["items"]
    return next(u["id"] for u in users if u["username"] == username)


def card(page: Page, lead: dict[str, Any], column: str = "") -> Any:
    within = f'[data-column="{column}"] ' if column else ""
    return page.locator(f'{within}[data-id="{lead["id"]}"]')


async def drag(page: Page, what: Any, target: Any) -> None:
    start, end = await what.bounding_box(), await target.bounding_box()
    await page.mouse.move(start["x"] + 40, start["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(start["x"] + 90, start["y"] + 40, steps=4)
    await page.mouse.move(end["x"] + min(60, end["width"] / 2), end["y"] + min(120, end["height"] / 2), steps=8)
    await page.mouse.up()


async def test_a_message_a_drag_and_a_hand_over_are_seen_by_whom_they_concern(demo: Demo, windows: Windows) -> None:
    lead = await a_lead_of(demo, "sales1")
    manager1, sales1 = await windows.open("manager1"), await windows.open("sales1")
    for page in (manager1, sales1):
        await expect(page.locator("[data-id]").first).to_be_visible()

    await demo.simulate(lead["phone"], "Is Thursday at ten fine?")
    for page in (manager1, sales1):
        await expect(page.locator(".lf-side").get_by_text("Is Thursday at ten fine?")).to_be_visible(timeout=SOON)

    admin = await demo.api("admin")
    now = (await admin.get(f"/api/v1/leads/{lead['id']}")).json()
    moved = await admin.post(
        f"/api/v1/leads/{lead['id']}/move", json={"status": "qualified", "version": now["version"]}
    )
    assert moved.status_code == 200
    for page in (manager1, sales1):
        await expect(card(page, lead, "qualified")).to_be_visible(timeout=SOON)

    await drag(sales1, card(sales1, lead), sales1.locator('[data-column="demo"]'))
    await expect(card(manager1, lead, "demo")).to_be_visible(timeout=SOON)
    await expect(card(sales1, lead, "demo")).to_be_visible(timeout=SOON)

    sales3, manager2 = await windows.open("sales3"), await windows.open("manager2")
    for page in (sales3, manager2):
        await expect(page.locator("[data-id]").first).to_be_visible()
        await expect(card(page, lead)).to_have_count(0)
    now = (await admin.get(f"/api/v1/leads/{lead['id']}")).json()
    given = {"salesperson_id": await person(demo, "sales3"), "version": now["version"]}
    assert (await admin.post(f"/api/v1/leads/{lead['id']}/assign", json=given)).status_code == 200
    for page in (sales3, manager2):
        await expect(card(page, lead, "demo")).to_be_visible(timeout=SOON)
    for page in (manager1, sales1):
        await expect(card(page, lead)).to_have_count(0, timeout=SOON)
    assert windows.complaints == []


async def test_a_card_dropped_on_a_person_is_his(demo: Demo, windows: Windows) -> None:
    lead = await a_lead_of(demo, "sales1", "proposal")
    manager1 = await windows.open("manager1")
    admin = await demo.api("admin")
    # to the top of its column, where it is in sight
    moved = await admin.post(f"/api/v1/leads/{lead['id']}/move", json={"status": "demo", "version": lead["version"]})
    await expect(card(manager1, lead, "demo")).to_be_visible(timeout=SOON)
    target = await person(demo, "sales2")
    await drag(manager1, card(manager1, lead), manager1.locator(f'[data-person="{target}"]'))
    sales2 = await windows.open("sales2")
    await expect(card(sales2, lead, "demo")).to_be_visible()
    after = (await admin.get(f"/api/v1/leads/{lead['id']}")).json()
    assert after["salesperson"]["id"] == target and after["version"] > moved.json()["version"]


async def test_a_loss_asks_why_and_a_refused_drop_goes_back(demo: Demo, windows: Windows) -> None:
    sales1 = await windows.open("sales1")
    first = sales1.locator('[data-column="proposal"] [data-id]').first
    await expect(first).to_be_visible()
    lead = {"id": await first.get_attribute("data-id")}
    await drag(sales1, first, sales1.locator('[data-column="lost"]'))
    dialog = sales1.locator(".lf-dialog")
    await expect(dialog).to_be_visible()
    await dialog.get_by_text("Cancel").click()
    await expect(card(sales1, lead, "proposal")).to_be_visible()
    await drag(sales1, card(sales1, lead), sales1.locator('[data-column="lost"]'))
    await dialog.get_by_role("combobox").fill("Budget")
    await sales1.get_by_role("option", name="Budget").click()
    await dialog.get_by_role("button", name="Move").click()
    await expect(card(sales1, lead, "proposal")).to_have_count(0)
    admin = await demo.api("admin")
    after = (await admin.get(f"/api/v1/leads/{lead['id']}")).json()
    assert (after["status"], after["lost_reason"]) == ("lost", "Budget")


async def test_a_session_that_is_ended_elsewhere_ends_on_the_open_screen(demo: Demo, windows: Windows) -> None:
    page = await windows.open("cosales1")
    await expect(page.locator("[data-id]").first).to_be_visible()
    others = [await windows.open("cosales1") for _ in range(2)]
    context = await page.context.browser.new_context()
    fourth = await context.new_page()
    await fourth.goto(f"{demo.url}/signin")
    for _ in range(2):  # the fourth device: one must be chosen to end, the oldest first
        for label, text in (("Company", "demo"), ("Username", "cosales1"), ("Password", "journeys on the floor")):
            await fourth.get_by_label(label, exact=True).fill(text)
        await fourth.get_by_label("Password").press("Enter")
        await fourth.wait_for_load_state()
    await page.wait_for_url("**/signin")
    assert all("/board" in other.url for other in others)


async def test_what_customers_write_stays_text(demo: Demo, windows: Windows) -> None:
    lead = await a_lead_of(demo, "sales1")
    page = await windows.open("sales1")
    await page.evaluate("window.__xss = 0")
    await demo.simulate(lead["phone"], "<img src=x onerror='window.__xss=1'><script>window.__xss=1</script>")
    await expect(page.locator(".lf-side").get_by_text("<img src=x").first).to_be_visible(timeout=SOON)
    assert await page.evaluate("window.__xss") == 0
    assert windows.complaints == []


async def test_a_partner_starts_at_home(demo: Demo, windows: Windows) -> None:
    page = await windows.open("partner1")
    await expect(page.get_by_text("Live activity")).to_be_visible()
    assert windows.complaints == []
