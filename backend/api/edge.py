"""The outermost layer of HTTP: a request id on everything, security headers, a bound on bodies. Pure ASGI, so streams stay cheap."""

import logging
import secrets
from typing import Any

from ..streams.sse import Receive, Scope, Send
from .problems import problem

log = logging.getLogger("leadfloor.requests")

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
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

        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers, (b"x-request-id", request_id.encode())]
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._most:
            await problem(413, "too_large", f"A body has at most {self._most} bytes.")(scope, receive, named)
            return
        taken = 0

        async def bounded() -> Any:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._most:
                    raise BodyTooLarge
            return message

        try:
            await self._app(scope, bounded, named)
        except BodyTooLarge:
            await problem(413, "too_large", f"A body has at most {self._most} bytes.")(scope, receive, named)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            raise


class BodyTooLarge(Exception):
    """A body without an announced length turned out too long."""
