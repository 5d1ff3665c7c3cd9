"""What a unit of a channel does: a message finds or makes its lead and conversation, a status moves forward, an identity moves.

A duplicate changes nothing; unread and the customer's waiting move only when a message was really new.
"""

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from ..access.scope import Viewer
from ..channels.contract import Identity, IdentityMoved, Noticed, Reacted, Said, StateReported, Unit
from ..events import Changes, LeadEdited, LeadFact, MessageEchoed, MessageReceived
from ..leads.actions import capture, restore
from ..leads.changes import Done, change, know, load
from ..leads.fields import LeadRow
from ..leads.matching import match
from ..store.statements import insert_into, prepare, upsert
from ..store.tables.inbox import conversations, message_states, messages, reactions
from ..store.transactions import Tx

SNIPPET = 200
Outcome = tuple[str, str | None]
PROCESSED: Outcome = ("processed", None)
DUPLICATE: Outcome = ("ignored", "duplicate")

SOURCES = {"whatsapp": "WhatsApp"}


def apply_unit(tx: Tx, channel: str, account: str, unit: Unit) -> Outcome:
    """(state, reason) of a unit that could be read."""
    return APPLY[type(unit)](tx, channel, account, unit)


# Messages ------------------------------------------------------------------------------------------------------------------

_THERE = prepare(
    select(messages.c.id).where(messages.c.account == bindparam("account"), messages.c.provider_id == bindparam("id"))
)
_MESSAGE = insert_into(messages)
_CONVERSATION = prepare(
    select(
        conversations.c.id, conversations.c.last_message_at, conversations.c.last_inbound_at, conversations.c.unread
    ).where(
        conversations.c.lead_id == bindparam("lead"),
        conversations.c.channel == bindparam("channel"),
        conversations.c.account == bindparam("account"),
    )
)
_OPEN = insert_into(conversations)
_HEARD = prepare(
    update(conversations)
    .where(conversations.c.id == bindparam("b_id"))
    .values({c: bindparam(c) for c in ("last_message_at", "last_inbound_at", "unread")})
)


class Messages:
    """The messages that a transaction owes; a copy in the same transaction is a duplicate too."""

    order = 45

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}

    def has(self, account: str, provider_id: str) -> bool:
        return (account, provider_id) in self._rows

    def add(self, **row: Any) -> None:
        self._rows[row["account"], row["provider_id"]] = row

    def mark(self) -> int:
        return len(self._rows)

    def reset(self, mark: int) -> None:
        while len(self._rows) > mark:
            self._rows.popitem()

    def flush(self) -> None:
        self.tx.many(_MESSAGE, self._rows.values())


def said(tx: Tx, channel: str, account: str, message: Said) -> Outcome:
    """A message: of a person we know, or of somebody new, who becomes a lead; of an archived lead, who comes back."""
    if tx.owes(Messages).has(account, message.provider_id) or tx.one(_THERE, account=account, id=message.provider_id):
        return DUPLICATE
    machine = Viewer.system(SOURCES.get(channel, channel))
    known_as = tuple(_identity(i) for i in message.sender.identities)
    lead_id, unknown = match(tx, known_as)
    if lead_id is None and message.outgoing:
        return "ignored", "sent from the phone to somebody who is no lead"
    sent_at = message.sent_at if message.sent_at is not None else tx.now
    if lead_id is None:
        arriving = {
            "last_message": message.text[:SNIPPET],
            "last_message_at": sent_at,
            "waiting_since": sent_at,
            "unread": 1,
            **_phone(message),
        }
        done = capture(tx, machine, _captured(channel, message), known_as=known_as, arriving=arriving)
        columns: dict[str, Any] = {}
    else:
        done = _awake(tx, machine, lead_id)
        for kind, value in unknown:
            know(tx, lead_id, kind, value)
        columns = _heard_by_lead(done.lead, message, sent_at)
    _keep(tx, machine, channel, account, message, sent_at, done, columns)
    return PROCESSED


def _identity(identity: Identity) -> Identity:
    """A phone number is the person's in every channel and on every form; other ids are the provider's."""
    kind, value = identity
    return ("phone", value) if kind.endswith("_phone") else identity


def _captured(channel: str, message: Said) -> dict[str, Any]:
    source = SOURCES.get(channel, "Other")
    return {
        "name": message.sender.name or message.sender.phone or f"{source} contact",
        "source": f"{source} ad" if message.referral and channel == "whatsapp" else source,
    }


def _phone(message: Said) -> dict[str, str]:
    """The number as the provider vouches for it: it needs no reading again."""
    phone = message.sender.phone
    return {"phone": phone, "phone_reversed": phone[:0:-1]} if phone else {}


def _awake(tx: Tx, machine: Viewer, lead_id: int) -> Done:
    found = load(tx, lead_id)
    if found is None:
        raise LookupError(f"identity of lead {lead_id} without the lead")
    lead, shares = found
    return Done(lead, shares, None) if lead.archived_at is None else restore(tx, machine, lead_id, version=None)


def _keep(
    tx: Tx,
    machine: Viewer,
    channel: str,
    account: str,
    message: Said,
    sent_at: int,
    done: Done,
    columns: dict[str, Any],
) -> None:
    lead, outgoing = done.lead, message.outgoing
    is_new = done.fact is not None and done.lead.version == 1
    conversation = _heard(tx, lead.id, channel, account, sent_at, outgoing, is_new=is_new)
    message_id = tx.id()
    tx.owes(Messages).add(
        id=message_id,
        conversation_id=conversation,
        lead_id=lead.id,
        account=account,
        provider_id=message.provider_id,
        direction="out" if outgoing else "in",
        type=message.type,
        text=message.text,
        data=orjson.dumps({**message.data, **({"referral": message.referral} if message.referral else {})}),
        reply_to=message.reply_to,
        sent_at=sent_at,
        received_at=tx.now,
    )
    kind = MessageEchoed if outgoing else MessageReceived

    def fact(changes: Changes) -> LeadFact:
        return kind(
            changes=changes,
            conversation=conversation,
            message=message_id,
            channel=channel,
            type=message.type,
            text=message.text,
        )

    change(tx, machine, lead, done.shares, columns, fact, touch=False, always=True)


def _heard(tx: Tx, lead_id: int, channel: str, account: str, sent_at: int, outgoing: bool, *, is_new: bool) -> int:
    """The conversation of this lead on this account, opened when there is none, with what a message does to it."""
    row = None if is_new else tx.one(_CONVERSATION, lead=lead_id, channel=channel, account=account)
    if row is None:
        conversation: int = tx.id()
        tx.run(
            _OPEN,
            id=conversation,
            lead_id=lead_id,
            channel=channel,
            account=account,
            opened_at=tx.now,
            last_message_at=sent_at,
            last_inbound_at=None if outgoing else sent_at,
            unread=0 if outgoing else 1,
        )
        return conversation
    conversation, last, inbound, unread = row
    if outgoing:
        unread = 0 if sent_at >= (inbound or 0) else unread  # an answer that comes late answered nothing newer
    tx.run(
        _HEARD,
        b_id=conversation,
        last_message_at=max(last, sent_at),
        last_inbound_at=inbound if outgoing else max(inbound or 0, sent_at),
        unread=unread if outgoing else unread + 1,
    )
    return conversation


def _heard_by_lead(lead: LeadRow, message: Said, sent_at: int) -> dict[str, Any]:
    newest = lead.last_message_at is None or sent_at >= lead.last_message_at
    columns: dict[str, Any] = {} if lead.phone else dict(_phone(message))
    if newest:
        columns |= {"last_message": message.text[:SNIPPET], "last_message_at": sent_at}
    if message.outgoing:  # one that comes late has not answered what was written after it
        return columns | ({"waiting_since": None, "unread": 0} if newest else {})
    return columns | {"waiting_since": lead.waiting_since or sent_at, "unread": lead.unread + 1}


# Everything else -----------------------------------------------------------------------------------------------------------

FORWARD = {"accepted": 0, "sent": 1, "failed": 2, "delivered": 3, "read": 4, "played": 5}
"""A message's states only move up: read implies delivered, and a late `sent` takes nothing back."""

_STATE = prepare(
    select(message_states.c.state, message_states.c.reason, message_states.c.times).where(
        message_states.c.account == bindparam("account"), message_states.c.provider_id == bindparam("id")
    )
)
_PUT_STATE = upsert(message_states, put=("state", "reason", "times"))


def state_reported(tx: Tx, channel: str, account: str, report: StateReported) -> Outcome:
    """How far a message of ours got, kept by the provider's id: the report may come before we know the message."""
    if report.state not in FORWARD:
        return "ignored", f"unknown state {report.state[:40]}"
    row = tx.one(_STATE, account=account, id=report.provider_id)
    state, reason, times = (row[0], row[1], orjson.loads(row[2])) if row else ("accepted", None, {})
    if report.state in times:
        return DUPLICATE
    times[report.state] = report.at
    if FORWARD[report.state] > FORWARD[state]:
        state, reason = report.state, report.reason
    tx.run(
        _PUT_STATE,
        account=account,
        provider_id=report.provider_id,
        state=state,
        reason=reason,
        times=orjson.dumps(times).decode(),
    )
    return PROCESSED


_REACTION = prepare(
    select(reactions.c.at).where(
        reactions.c.account == bindparam("account"),
        reactions.c.target == bindparam("target"),
        reactions.c.who == bindparam("who"),
    )
)
_REACT = upsert(reactions, put=("emoji", "at"))


def reacted(tx: Tx, channel: str, account: str, reaction: Reacted) -> Outcome:
    """An emoji on a message, kept by the message's provider id, so that it may come first. "" is one taken away."""
    who = ":".join(reaction.sender.identities[0])[:200]
    at = reaction.sent_at if reaction.sent_at is not None else tx.now
    before = tx.value(_REACTION, account=account, target=reaction.target, who=who)
    if before is not None and before > at:
        return "ignored", "older than the reaction that is there"
    tx.run(_REACT, account=account, target=reaction.target, who=who, emoji=(reaction.emoji or "")[:32], at=at)
    return PROCESSED


def identity_moved(tx: Tx, channel: str, account: str, moved: IdentityMoved) -> Outcome:
    """A person's number or id became another, and the lead is known by it. Nobody is merged silently.

    An old id still finds the lead; an old number that was the lead's own does not: somebody else may be given it.
    """
    old, new = _identity(moved.old), _identity(moved.new)
    lead_id = match(tx, [old]).lead_id
    if lead_id is None:
        return "ignored", "nobody is known by the old identity"
    other = match(tx, [new]).lead_id
    if other is not None:
        return DUPLICATE if other == lead_id else ("ignored", "both identities are known; nobody is merged silently")
    know(tx, lead_id, *new)
    found = load(tx, lead_id)
    if new[0] == "phone" and found is not None and found[0].phone == f"+{old[1]}":
        columns = {"phone": f"+{new[1]}", "phone_reversed": new[1][::-1]}
        machine = Viewer.system(SOURCES.get(channel, channel))
        change(tx, machine, *found, columns, lambda changes: LeadEdited(changes=changes))
    return PROCESSED


def noticed(tx: Tx, channel: str, account: str, notice: Noticed) -> Outcome:
    return "ignored", f"a notice about the account: {notice.kind[:60]}"


APPLY: dict[type, Callable[[Tx, str, str, Any], Outcome]] = {
    Said: said,
    Reacted: reacted,
    StateReported: state_reported,
    IdentityMoved: identity_moved,
    Noticed: noticed,
}
