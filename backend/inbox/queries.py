"""Everything that can be asked of conversations, within the reach of their leads. Viewer first, always."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from ..access.roles import VIEWS
from ..access.scope import Viewer
from ..errors import NotAllowed, NotFound
from ..leads.queries import Filter, conditions_for, lead, within_reach
from ..store.ids import rfc3339
from ..store.journal import Head, read_head
from ..store.statements import prepare
from ..store.tables.inbox import conversations, message_states, messages, reactions
from ..store.tables.leads import leads
from ..store.transactions import Rx


@dataclass(frozen=True, slots=True)
class Items:
    """`after`: the id to go on from; None on the last page."""

    items: tuple[dict[str, Any], ...]
    after: int | None
    head: Head


def conversations_page(
    rx: Rx, viewer: Viewer, wanted: Filter, *, channel: str | None, limit: int, after: int | None
) -> Items:
    """Conversations of the leads in reach, the newest opened first."""
    _must_read(viewer)
    statement = within_reach(
        viewer, select(conversations, leads.c.name).join(leads, leads.c.id == conversations.c.lead_id)
    )
    statement = statement.where(*conditions_for(viewer, wanted))
    if channel:
        statement = statement.where(conversations.c.channel == channel)
    if after is not None:
        statement = statement.where(conversations.c.id < after)
    rows = rx.all(statement.order_by(conversations.c.id.desc()).limit(limit + 1))
    items = tuple(
        {
            "id": str(id_),
            "lead": {"id": str(lead_id), "name": name},
            "channel": channel_name,
            "opened_at": rfc3339(opened),
            "last_message_at": rfc3339(last),
            "last_inbound_at": rfc3339(inbound) if inbound else None,
            "unread": unread,
        }
        for id_, lead_id, channel_name, _, opened, last, inbound, unread, name in rows[:limit]
    )
    return Items(items, rows[limit - 1][0] if len(rows) > limit else None, read_head(rx))


_LEAD_OF = prepare(select(conversations.c.lead_id).where(conversations.c.id == bindparam("id")))
_MESSAGES = prepare(
    select(messages, message_states.c.state)
    .join(
        message_states,
        (message_states.c.account == messages.c.account) & (message_states.c.provider_id == messages.c.provider_id),
        isouter=True,
    )
    .where(messages.c.conversation_id == bindparam("conversation"), messages.c.id < bindparam("before"))
    .order_by(messages.c.id.desc())
    .limit(bindparam("most"))
)
_REACTIONS = prepare(
    select(reactions.c.target, reactions.c.emoji)
    .join(messages, (messages.c.account == reactions.c.account) & (messages.c.provider_id == reactions.c.target))
    .where(messages.c.conversation_id == bindparam("conversation"), reactions.c.emoji != "")
)


def messages_page(rx: Rx, viewer: Viewer, conversation_id: int, *, limit: int, before: int | None) -> Items:
    """Messages of a conversation, newest first. Raises NotFound out of reach."""
    _must_read(viewer)
    lead_id = rx.value(_LEAD_OF, id=conversation_id)
    if lead_id is None:
        raise NotFound
    lead(rx, viewer, lead_id)
    rows = rx.all(_MESSAGES, conversation=conversation_id, before=before or 2**62, most=limit + 1)
    emojis: dict[str, list[str]] = {}
    for target, emoji in rx.all(_REACTIONS, conversation=conversation_id):
        emojis.setdefault(target, []).append(emoji)
    items = tuple(
        {
            "id": str(id_),
            "direction": direction,
            "type": type_,
            "text": text,
            "data": orjson.loads(data),
            "state": state or ("received" if direction == "in" else "accepted"),
            "reply_to": reply_to,
            "reactions": emojis.get(provider_id, []),
            "at": rfc3339(sent_at),
        }
        for id_, _, _, _, provider_id, direction, type_, text, data, reply_to, sent_at, _, state in rows[:limit]
    )
    return Items(items, rows[limit - 1][0] if len(rows) > limit else None, read_head(rx))


def _must_read(viewer: Viewer) -> None:
    if "last_message" not in VIEWS[viewer.view]:
        raise NotAllowed("Your role does not read conversations.")
