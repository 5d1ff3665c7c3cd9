"""The inbox over HTTP: conversations and messages in reach, page by page, and nothing to whoever may not read them."""

import httpx
import pytest

from backend.leads import actions

from .meta import SENT, Meta, delivery, echo, text

LIST = "/api/v1/inbox/conversations"


async def items(client: httpx.AsyncClient, path: str = LIST, **params: str | int) -> list[dict[str, object]]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["items"]
    return found


@pytest.mark.parametrize(
    ("name", "status", "n"),
    [
        ("admin", 200, 2),
        ("dev1", 200, 2),
        ("manager1", 200, 1),
        ("manager2", 200, 1),
        ("sales1", 200, 1),
        ("sales2", 200, 0),
        ("sales3", 200, 1),
        ("cosales1", 200, 2),
        ("warrior1", 200, 1),
        ("warrior2", 200, 0),
        ("warrior3", 200, 1),
        ("partner1", 200, 0),
        ("support1", 200, 0),
        ("guest1", 403, 0),
        ("integration1", 403, 0),
    ],
)
async def test_everybody_reads_the_conversations_in_his_reach_and_no_other(
    meta: Meta, name: str, status: int, n: int
) -> None:
    """One lead of sales1, in the hands of his warrior1; one of sales3. warrior3 sees those of every warrior of his firm."""
    world = meta.world
    mine = (await world.owned("sales1", phone="+447700900301")).lead
    await world.owned("sales3", phone="+447700900303")
    given = {"warrior_id": world.person("warrior1").id}
    await world.store.write(actions.assign, await world.viewer("admin"), mine.id, given, version=1)
    await meta.says(text("to sales1", from_="447700900301"), text("to sales3", from_="447700900303"))
    client = await world.client(name)
    answer = await client.get(LIST)
    assert answer.status_code == status
    shown = answer.json().get("items", [])
    assert len(shown) == n
    if status == 403:
        assert "to sales" not in answer.text
    seen = {conversation["id"] for conversation in shown}
    for conversation in await meta.conversations():
        one = await client.get(f"{LIST}/{conversation['id']}/messages")
        expected = 403 if status == 403 else 200 if str(conversation["id"]) in seen else 404
        assert one.status_code == expected
        assert expected == 200 or "to sales" not in one.text


async def test_nobody_reads_without_signing_in(meta: Meta) -> None:
    assert (await meta.client.get(LIST)).status_code == 401
    assert (await meta.client.get(f"{LIST}/1/messages")).status_code == 401


async def test_a_conversation_of_another_company_is_as_absent_as_none(meta: Meta) -> None:
    await meta.says(text("theirs"), company="beta")
    (theirs,) = await meta.conversations("beta")
    admin = await meta.world.client("admin", "demo")
    answers = [await admin.get(f"{LIST}/{id_}/messages") for id_ in (theirs["id"], 1, "x", 2**63)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert await items(admin) == []


async def test_an_archived_lead_takes_its_conversation_off_the_list(meta: Meta) -> None:
    await meta.says(text())
    (lead,) = await meta.leads()
    admin = await meta.world.client("admin")
    assert len(await items(admin)) == 1
    viewer = await meta.world.viewer("admin")
    await meta.world.store.write(actions.archive, viewer, lead["id"], version=lead["version"])
    assert await items(admin) == []


async def test_conversations_come_page_by_page_each_once(meta: Meta) -> None:
    await meta.says(*(text(f"hi {n}", from_=f"4477009004{n:02}") for n in range(7)))
    admin = await meta.world.client("admin")
    found, page = [], None
    for _ in range(4):
        answer = (await admin.get(LIST, params={"limit": 3} | ({"page": page} if page else {}))).json()
        found += [item["id"] for item in answer["items"]]
        page = answer["next"]
        if page is None:
            break
    assert found == [str(c["id"]) for c in reversed(await meta.conversations())]
    assert len(found) == 7


async def test_messages_come_page_by_page_newest_first(meta: Meta) -> None:
    await meta.says(*(text(f"{n}", at=SENT + n) for n in range(5)))
    admin = await meta.world.client("admin")
    (conversation,) = await items(admin)
    path, found, page = f"{LIST}/{conversation['id']}/messages", [], None
    for _ in range(4):
        answer = (await admin.get(path, params={"limit": 2} | ({"page": page} if page else {}))).json()
        found.append([item["text"] for item in answer["items"]])
        page = answer["next"]
        if page is None:
            break
    assert found == [["4", "3"], ["2", "1"], ["0"]]


async def test_a_page_token_serves_its_own_list_and_caller_company_alone(meta: Meta) -> None:
    await meta.says(*(text(from_=f"4477009005{n:02}") for n in range(3)))
    await meta.says(*(text(from_=f"4477009005{n:02}") for n in range(3)), company="beta")
    admin, beta = await meta.world.client("admin"), await meta.world.client("admin", "beta")
    token = (await admin.get(LIST, params={"limit": 1})).json()["next"]
    (conversation, *_) = await items(admin)
    for client, path, more in (
        (admin, LIST, {"q": "x"}),
        (admin, LIST, {"channel": "whatsapp"}),
        (admin, f"{LIST}/{conversation['id']}/messages", {}),
        (beta, LIST, {}),
    ):
        assert (await client.get(path, params={"page": token, **more})).status_code == 422
    assert len(await items(admin, page=token)) == 2


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("pri", ["Priya Raman"]),
        ("RAM pri", ["Priya Raman"]),
        ("zo", ["Zoë"]),
        ("0142", ["Priya Raman"]),
        ("iya", []),
        ("priya sam", []),
        ("%", []),
        ("' OR 1=1--", []),
    ],
)
async def test_conversations_are_searched_as_leads_are(meta: Meta, q: str, names: list[str]) -> None:
    people = [("Priya Raman", "447700900142"), ("Zoë", "447700900143"), ("Sam", "447700900144")]
    contacts = [{"profile": {"name": name}, "wa_id": number} for name, number in people]
    await meta.says(*(text(from_=number) for _, number in people), contacts=contacts)
    found = await items(await meta.world.client("admin"), q=q)
    assert [item["lead"]["name"] for item in found] == names  # type: ignore[index]


async def test_conversations_are_narrowed_to_a_channel(meta: Meta) -> None:
    await meta.says(text())
    admin = await meta.world.client("admin")
    assert len(await items(admin, channel="whatsapp")) == 1
    assert await items(admin, channel="messenger") == []


async def test_a_conversation_and_its_messages_say_what_the_contract_names(meta: Meta) -> None:
    await meta.says(text("question"))
    await meta.tell(delivery(echo("answer", at=SENT + 5)))
    admin = await meta.world.client("admin")
    (conversation,) = await items(admin)
    assert conversation["channel"] == "whatsapp" and conversation["unread"] == 0
    assert conversation["last_inbound_at"] == "2026-11-20T10:00:00.000000Z"
    assert conversation["last_message_at"] == "2026-11-20T10:00:05.000000Z"
    out, came = await items(admin, f"{LIST}/{conversation['id']}/messages")
    assert {"id", "direction", "type", "text", "state", "at"} <= set(out)
    assert (out["direction"], out["text"], out["at"]) == ("out", "answer", "2026-11-20T10:00:05.000000Z")
    assert (came["direction"], came["text"], came["state"]) == ("in", "question", "received")
    assert isinstance(conversation["id"], str) and isinstance(out["id"], str)


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"page": "x"}, {"q": "x" * 201}, {"nonsense": "1"}])
async def test_parameters_that_mean_nothing_are_refused(meta: Meta, params: dict[str, str]) -> None:
    admin = await meta.world.client("admin")
    assert (await admin.get(LIST, params=params)).status_code == 422
