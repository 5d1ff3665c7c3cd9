"""Conversations and messages in reach, and the ledger of what came in."""

from typing import Annotated, Any

from fastapi import Query

from ..inbox import deliveries, queries
from ..leads.queries import Filter
from .bodies import path_id, router
from .paging import Limit, PageToken, page_after, read_page
from .viewer import SignedInCaller

api = router("inbox")


@api.get("/inbox/conversations", summary="Conversations of the leads in reach")
async def conversations(
    caller: SignedInCaller,
    limit: Limit = 20,
    page: PageToken = None,
    q: Annotated[str, Query(max_length=200)] = "",
    channel: Annotated[str | None, Query(max_length=32)] = None,
) -> dict[str, Any]:
    kind = f"conversations:{q}:{channel}"
    found = await caller.store.read(
        queries.conversations_page,
        caller.viewer,
        Filter(q=q),
        channel=channel,
        limit=limit,
        after=read_page(caller, kind, page),
    )
    return {"items": found.items, "next": page_after(caller, kind, found.after), "cursor": found.head.cursor}


@api.get("/inbox/conversations/{conversation_id}/messages", summary="Messages of a conversation, newest first")
async def messages(
    conversation_id: str, caller: SignedInCaller, limit: Limit = 50, page: PageToken = None
) -> dict[str, Any]:
    kind = f"messages:{conversation_id}"
    found = await caller.store.read(
        queries.messages_page,
        caller.viewer,
        path_id(conversation_id),
        limit=limit,
        before=read_page(caller, kind, page),
    )
    return {"items": found.items, "next": page_after(caller, kind, found.after), "cursor": found.head.cursor}


@api.get("/webhooks/ledger", summary="What became of everything that came in")
async def ledger(caller: SignedInCaller) -> dict[str, int]:
    return await caller.store.read(deliveries.ledger, caller.viewer)
