"""Is it alive, and does it serve."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from ..callers import hub_of
from ..store.journal import read_head
from ..store.transactions import Rx

api = APIRouter(tags=["health"])
PUBLIC: dict[str, Any] = {"security": []}


@api.get("/healthz", openapi_extra=PUBLIC, summary="The process is alive")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@api.get("/readyz", openapi_extra=PUBLIC, summary="The hub serves, part by part")
async def readyz(request: Request) -> JSONResponse:
    hub = hub_of(request)
    parts: dict[str, str] = {"serving": "ok" if hub.serving else "starting or stopping"}
    if hub.serving:
        for store in hub.database.opened():
            try:
                await store.read(_reads if store is hub.database.control else read_head)
                parts[f"store:{store.name}" if store is hub.database.control else "store:companies"] = "ok"
            except Exception as error:  # whatever it is, the answer is that this part is not ready
                parts["store"] = f"not readable ({type(error).__name__})"
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"ready": ready, "parts": parts}, 200 if ready else 503)


def _reads(rx: Rx) -> None:
    """A snapshot could be opened: enough for control."""
