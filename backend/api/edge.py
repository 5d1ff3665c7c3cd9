"""The outermost layer of HTTP: a request id on everything, security headers, a bound on bodies. Pure ASGI, so streams stay cheap."""

import logging
import secrets
from typing import Any

from starlette.exceptions import HTTPException

from ..streams.sse import Receive, Scope, Send
from .problems import problem

log = logging.getLogger("leadfloor.requests")

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Edge:
    def __init__(self, app: Any, most_bytes: int, https: bool) -> None:
        self._app = app
        self._most = most_bytes
        self._headers = HEADERS + ([(b"strict-transport-security", b"max-age=31536000")] if https else [])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["leadfloor.request_id"] = request_id

        started = False

        async def named(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *self._headers, (b"x-request-id", request_id.encode())]
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > 15 or int(announced) > self._most:
            await problem(413, "too_large", _most(self._most))(scope, receive, named)
            return
        taken = 0

        async def bounded() -> Any:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._most:
                    raise HTTPException(413, _most(self._most))  # no length was announced, or a wrong one
            return message

        try:
            await self._app(scope, bounded, named)
        except Exception:  # the outermost edge: whatever it is, it is noted, and the caller gets an answer
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if started:
                raise
            # answered here, so that this too has its id; it says nothing about the inside
            detail = "Something went wrong on our side. It has been noted under this request's id."
            await problem(500, "internal", detail)(scope, receive, named)


def _most(bytes_: int) -> str:
    return f"A body has at most {bytes_} bytes."
