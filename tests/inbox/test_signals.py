"""What is no message: how far ours got, reactions, changed numbers and ids, notices about the account."""

import itertools
from collections.abc import Callable

import orjson
import pytest

from backend.inbox.actions import FORWARD
from backend.store.tables.leads import identities

from .meta import PHONE, SENT, Json, Meta, change, delivery, echo, lines, rows, sample, status, statuses, text

PRIYA = "GB.70914425538120096"
OURS = "wamid.ours"
OTHER_PHONE = "447700900777"


# How far a message of ours got ---------------------------------------------------------------------------------------------


async def test_reports_out_of_order_only_move_forward_and_each_counts_once(meta: Meta) -> None:
    await meta.tell(*lines("whatsapp/33_status_out_of_order.jsonl"))
    (kept,) = (await meta.states()).values()
    assert kept["state"] == "read"
    assert set(orjson.loads(kept["times"])) == {"read", "sent", "delivered"}
    outcomes = [(state, reason) for _, state, reason in await meta.outcomes()]
    assert outcomes == [("processed", None)] * 3 + [("ignored", "duplicate")]
    assert await meta.leads() == []


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])), ids="-".join)
async def test_in_any_order_the_furthest_state_stands(meta: Meta, order: tuple[str, ...]) -> None:
    furthest = []
    for at, state in enumerate(order):
        await meta.tell(delivery(statuses(status(OURS, state, SENT + at))))
        furthest.append((await meta.states())[OURS]["state"])
    assert [FORWARD[state] for state in furthest] == sorted(FORWARD[state] for state in furthest)
    assert furthest[-1] == "read"


async def test_a_message_that_was_only_accepted_or_sent_can_still_fail_but_no_other(meta: Meta) -> None:
    failed = status(OURS, "failed", errors=[{"code": 131026, "title": "Undeliverable"}])
    await meta.tell(delivery(statuses(status(OURS, "sent"), failed, status(OURS, "sent", SENT + 9))))
    assert (await meta.states())[OURS]["state"] == "failed"
    other = {**failed, "id": "wamid.other"}
    await meta.tell(delivery(statuses(status("wamid.other", "delivered"), other)))
    assert (await meta.states())["wamid.other"]["state"] == "delivered"


@pytest.mark.parametrize("name", ["28_status_failed_131047", "29_status_failed_131026", "30_status_failed_131049"])
async def test_the_reason_of_a_failure_is_kept(meta: Meta, name: str) -> None:
    await meta.tell(sample(f"whatsapp/{name}.json"))
    (kept,) = (await meta.states()).values()
    assert kept["state"] == "failed"
    assert kept["reason"].startswith(name.rsplit("_", 1)[1] + ": ")
    assert len(kept["reason"]) > len("131047: ")


async def test_a_report_needs_no_recipient(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/31_status_bsuid_only.json"))
    (kept,) = (await meta.states()).values()
    assert kept["state"] == "delivered"


async def test_a_report_that_comes_before_its_message_is_shown_with_it(meta: Meta) -> None:
    await meta.says(text("question"))
    await meta.tell(delivery(statuses(status(OURS, "read", SENT + 20))))
    await meta.tell(delivery(echo("answer", id=OURS, at=SENT + 10)))
    admin = await meta.world.client("admin")
    (conversation,) = (await admin.get("/api/v1/inbox/conversations")).json()["items"]
    shown = (await admin.get(f"/api/v1/inbox/conversations/{conversation['id']}/messages")).json()["items"]
    assert [(m["direction"], m["text"], m["state"]) for m in shown] == [
        ("out", "answer", "read"),
        ("in", "question", "received"),
    ]


async def test_a_state_that_nobody_knows_is_ignored_with_its_name(meta: Meta) -> None:
    await meta.tell(delivery(statuses(status(OURS, "teleported"))))
    assert await meta.states() == {}
    assert await meta.outcomes() == [("statereported", "ignored", "unknown state teleported")]


async def test_reports_of_two_companies_with_one_id_are_two(meta: Meta) -> None:
    await meta.tell(delivery(statuses(status(OURS, "sent")), statuses(status(OURS, "read"), company="beta")))
    assert (await meta.states("demo"))[OURS]["state"] == "sent"
    assert (await meta.states("beta"))[OURS]["state"] == "read"


async def test_a_report_is_no_fact_and_touches_no_lead(meta: Meta) -> None:
    await meta.says(text())
    leads, facts = await meta.leads(), await meta.facts()
    await meta.tell(sample("whatsapp/25_status_sent.json"), sample("whatsapp/27_status_read.json"))
    assert (await meta.leads(), await meta.facts()) == (leads, facts)


# Reactions -----------------------------------------------------------------------------------------------------------------


def reaction(target: str, emoji: str | None, at: int = SENT, **members: str) -> Json:
    own = {"message_id": target} | ({} if emoji is None else {"emoji": emoji})
    head = {k: v for k, v in text(at=at, from_user_id=PRIYA, **members).items() if k != "text"}
    return head | {"type": "reaction", "reaction": own}


async def shown_reactions(meta: Meta) -> list[list[str]]:
    admin = await meta.world.client("admin")
    (conversation,) = (await admin.get("/api/v1/inbox/conversations")).json()["items"]
    found = (await admin.get(f"/api/v1/inbox/conversations/{conversation['id']}/messages")).json()["items"]
    return [message["reactions"] for message in found]


async def test_the_samples_put_a_reaction_and_take_it_away(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/12_reaction.json"))
    assert list((await meta.reactions()).values()) == ["👍"]
    await meta.tell(sample("whatsapp/13_reaction_removed.json"))
    assert list((await meta.reactions()).values()) == [""]
    assert [outcome[:2] for outcome in await meta.outcomes()] == [("reacted", "processed")] * 2


@pytest.mark.parametrize("away", [None, ""], ids=["no emoji", "an empty one"])
async def test_a_reaction_is_shown_at_its_message_until_it_is_taken_away(meta: Meta, away: str | None) -> None:
    await meta.says(text("question", id="wamid.q", from_user_id=PRIYA))
    await meta.says(reaction("wamid.q", "🙏", SENT + 1))
    assert await shown_reactions(meta) == [["🙏"]]
    await meta.says(reaction("wamid.q", "👍", SENT + 2))
    assert await shown_reactions(meta) == [["👍"]]
    await meta.says(reaction("wamid.q", away, SENT + 3))
    assert await shown_reactions(meta) == [[]]


async def test_a_reaction_before_its_message_is_there_when_the_message_comes(meta: Meta) -> None:
    await meta.says(reaction("wamid.q", "🙏", SENT + 1))
    assert await meta.leads() == []
    await meta.says(text("question", id="wamid.q", from_user_id=PRIYA))
    assert await shown_reactions(meta) == [["🙏"]]


async def test_an_older_reaction_that_comes_late_changes_nothing(meta: Meta) -> None:
    await meta.says(reaction(OURS, None, SENT + 5), reaction(OURS, "👍", SENT + 1))
    assert await meta.reactions() == {OURS: ""}
    assert (await meta.outcomes())[-1] == ("reacted", "ignored", "older than the reaction that is there")


async def test_a_reaction_starts_no_lead_no_clock_and_no_fact(meta: Meta) -> None:
    await meta.says(text("question", from_user_id=PRIYA))
    leads, facts = await meta.leads(), await meta.facts()
    await meta.says(reaction(OURS, "👍", SENT + 9))
    assert (await meta.leads(), await meta.facts()) == (leads, facts)


# Numbers and ids that change -----------------------------------------------------------------------------------------------


def system(kind: str, **own: str) -> Json:
    sender = {"from": own.pop("was")} if "was" in own else {}
    return {"id": f"wamid.{kind}", "timestamp": str(SENT), "type": "system", "system": {"type": kind} | own} | sender


async def known_as(meta: Meta) -> set[tuple[str, str]]:
    return {(row["kind"], row["value"]) for row in await rows(meta.world.store, identities)}


async def test_a_changed_user_id_reaches_the_same_lead_before_and_after(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/01_text.json"), sample("whatsapp/20_system_changed_user_id.json"))
    for user in ("GB.81920033746511208", PRIYA):
        await meta.says(text(user, from_=None, from_user_id=user))
    (lead,) = await meta.leads()
    assert lead["unread"] == 3 and lead["phone"] == f"+{PHONE}"
    assert (await meta.outcomes())[1] == ("identitymoved", "processed", None)
    await meta.tell(sample("whatsapp/20_system_changed_user_id.json"))
    assert (await meta.outcomes())[-1] == ("identitymoved", "ignored", "duplicate")


async def test_a_changed_number_becomes_the_leads_and_the_old_one_somebody_elses(meta: Meta) -> None:
    await meta.says(text())
    moved = delivery(change(system("user_changed_number", was=PHONE, wa_id=OTHER_PHONE)))
    await meta.tell(moved)
    (lead,) = await meta.leads()
    assert (lead["phone"], lead["phone_reversed"]) == (f"+{OTHER_PHONE}", OTHER_PHONE[::-1])
    assert await known_as(meta) == {("phone", OTHER_PHONE)}
    assert (await meta.facts())["lead.edited"] == 1
    await meta.says(text("from the new number", from_=OTHER_PHONE))
    assert len(await meta.leads()) == 1
    await meta.says(text("who got the old number"))
    assert len(await meta.leads()) == 2


async def test_a_change_of_number_and_id_told_together_moves_both(meta: Meta) -> None:
    await meta.says(text(from_user_id=PRIYA))
    both = system("user_changed_number", was=PHONE, wa_id=OTHER_PHONE, previous_user_id=PRIYA, user_id="GB.2")
    await meta.says(both)
    assert [outcome[1] for outcome in await meta.outcomes()] == ["processed"] * 3
    await meta.says(text(from_=OTHER_PHONE), text(from_=None, from_user_id="GB.2"))
    assert len(await meta.leads()) == 1


async def test_a_changed_number_that_another_lead_has_merges_nobody(meta: Meta) -> None:
    await meta.says(text("a"), text("b", from_=OTHER_PHONE))
    before = await meta.leads()
    await meta.says(system("user_changed_number", was=PHONE, wa_id=OTHER_PHONE))
    assert await meta.leads() == before
    reason = "both identities are known; nobody is merged silently"
    assert (await meta.outcomes())[-1] == ("identitymoved", "ignored", reason)


async def test_a_number_corrected_by_hand_is_not_taken_back(meta: Meta) -> None:
    lead = (await meta.world.owned("sales1", phone=f"+{PHONE}")).lead
    await meta.says(text(from_user_id=PRIYA))
    sales1 = await meta.world.client("sales1")
    given = {"phone": "+442071838750", "version": lead.version}
    assert (await sales1.patch(f"/api/v1/leads/{lead.id}", json=given)).status_code == 200
    moved = system("user_changed_user_id", previous_user_id=PRIYA, user_id="GB.2")
    await meta.says(moved)
    (after,) = await meta.leads()
    assert after["phone"] == "+442071838750"
    assert ("wa_bsuid", "GB.2") in await known_as(meta)


async def test_a_change_of_somebody_unknown_is_ignored(meta: Meta) -> None:
    await meta.tell(sample("whatsapp/20_system_changed_user_id.json"))
    assert await meta.outcomes() == [("identitymoved", "ignored", "nobody is known by the old identity")]
    assert await known_as(meta) == set()


# Notices -------------------------------------------------------------------------------------------------------------------


def _quality() -> Json:
    return {"field": "phone_number_quality_update", "value": change()["value"] | {"event": "FLAGGED"}}


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: change(errors=[{"code": 130429, "title": "Rate limit hit"}]), "account_error"),
        (_quality, "phone_number_quality_update"),
        (lambda: change({"id": "wamid.e", "type": "edit", "edit": {"original_message_id": "wamid.q"}}), "edit"),
        (lambda: change({"id": "wamid.r", "type": "revoke", "revoke": {"original_message_id": "wamid.q"}}), "revoke"),
        (lambda: change(system("customer_identity_changed")), "customer_identity_changed"),
    ],
    ids=["account error", "quality", "edit", "revoke", "identity"],
)
async def test_a_notice_is_counted_and_named_and_nothing_else(meta: Meta, made: Callable[[], Json], kind: str) -> None:
    body = delivery(made())
    await meta.tell(body)
    assert await meta.outcomes() == [("noticed", "ignored", f"a notice about the account: {kind}")]
    assert await meta.leads() == await meta.messages() == []
    assert (await meta.ledger())["ignored"] == 1
