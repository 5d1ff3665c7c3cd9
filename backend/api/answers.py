"""A write over HTTP: the action as the caller, and its answer; by its Idempotency-Key where a POST has one."""

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ..callers import Caller
from ..errors import Invalid
from ..store.answers import Key, Render, answered


async def write(
    request: Request,
    caller: Caller,
    render: Render,
    action: Callable[..., Any],
    *args: Any,
    status: int = 200,
    **kwargs: Any,
) -> Response:
    """`action(tx, viewer, *args, **kwargs)` as the caller, rendered; by its Idempotency-Key where a POST has one."""
    key = await _key(request, caller) if request.method == "POST" else None
    answer = await caller.store.write(answered, key, status, render, action, caller.viewer, *args, **kwargs)
    return Response(answer.body, answer.status, media_type="application/json")


async def _key(request: Request, caller: Caller) -> Key | None:
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not 0 < len(given) <= 255 or not given.isprintable():
        raise Invalid("An Idempotency-Key has 1 to 255 printable characters.", field="Idempotency-Key")
    what = f"{request.method} {request.url.path}\n".encode() + await request.body()
    return Key(caller.viewer.person_id or 0, given, hashlib.sha256(what).digest())
