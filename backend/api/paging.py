"""Page tokens: where a list goes on, signed for one company and one list, opaque to everybody else."""

import base64
import binascii
import hmac
from typing import Annotated, Any

import orjson
from fastapi import Query

from ..callers import Caller
from ..errors import Invalid

Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
PageToken = Annotated[str | None, Query(max_length=400, description="`next` of the page before.")]
_MAC = 16


def page_after(caller: Caller, kind: str, after: Any) -> str | None:
    """A token for `after` (None: no further page)."""
    if after is None:
        return None
    payload = orjson.dumps(after)
    return base64.urlsafe_b64encode(_mac(caller, kind, payload) + payload).decode().rstrip("=")


def read_page(caller: Caller, kind: str, token: str | None) -> Any:
    """What a token of ours says, None without one. Raises Invalid for any other."""
    if token is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
    except (binascii.Error, ValueError, UnicodeEncodeError):
        raw = b""
    mac, payload = raw[:_MAC], raw[_MAC:]
    if not payload or not hmac.compare_digest(mac, _mac(caller, kind, payload)):
        raise Invalid("This is not a page token of this list.", field="page")
    return orjson.loads(payload)


def _mac(caller: Caller, kind: str, payload: bytes) -> bytes:
    place = f"{caller.store.id}/{kind}/".encode()
    return hmac.digest(caller.hub.keys.derived("page"), place + payload, "sha256")[:_MAC]
