"""`GET /api/v1/stream`: the committed facts in the caller's reach, as server-sent events."""

from typing import Any
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection

from ..callers import caller_of, hub_of
from ..errors import TooMany, Unavailable
from ..streams.fanout import Subscriber
from ..streams.sse import HEADERS, Receive, Scope, Send, SSEStream

STREAMS_PER_PERSON = 6
MOST_STREAMS = 20_000

OPENAPI: dict[str, Any] = {
    "get": {
        "tags": ["streams"],
        "summary": "Live changes in the caller's reach (SSE)",
        "description": "`Last-Event-ID` wins over `cursor`; neither means from now on. `types` and `lead` only narrow.",
        "parameters": [
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "example": "9f2c41aa.100"},
            {"name": "types", "in": "query", "schema": {"type": "string"}, "example": "lead,timeline"},
            {"name": "lead", "in": "query", "schema": {"type": "string"}},
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {
                "description": "A stream that stays open",
                "content": {
                    "text/event-stream": {
                        "example": 'event: lead.left\nid: 9f2c41aa.105\ndata: {"v":1,"prev":"9f2c41aa.103","lead":"88","version":58}\n\n'
                    }
                },
            },
            "401": {"description": "Not signed in"},
            "429": {"description": "More than six streams of one person"},
        },
        "security": [{"HTTPBearer": []}, {"APIKeyCookie": []}],
    }
}


class StreamEndpoint:
    """An ASGI application of its own: a framework's response would cost twice the memory per open stream."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        hub = hub_of(connection)
        caller = await caller_of(connection)
        if not hub.serving or len(hub.fanout.subscribers) >= MOST_STREAMS:
            raise Unavailable("There is no room for another stream just now.")
        if hub.fanout.count_of(caller.store.id, caller.viewer.person_id) >= STREAMS_PER_PERSON:
            raise TooMany("Six streams are open for you already; close one.", retry_after=30)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b""})
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        subscriber = Subscriber(
            company=caller.store.id,
            epoch=b"",
            viewer=caller.viewer,
            wake=lambda: None,
            end=lambda: None,
            types=frozenset(t for t in query.get("types", [""])[0].split(",") if t),
            lead=_lead(query.get("lead", [None])[0]),
            expires_at=caller.expires_at,
        )
        cursor = connection.headers.get("last-event-id") or query.get("cursor", [None])[0]
        await SSEStream(hub.fanout, caller.store, subscriber, cursor).run(scope, receive, send)


def _lead(text: str | None) -> int | None:
    """An id to narrow to. One that can't be an id narrows to nothing, exactly as a foreign one does."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
