"""Strict bodies: one JSON reader, models that forbid unknown fields, texts without control characters, ids as strings."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from ..errors import Invalid, NotFound
from .problems import REFUSALS

MOST_BYTES = 2 * 1024 * 1024


class StrictRequest(Request):
    async def json(self) -> Any:
        """orjson refuses what the standard library lets pass: NaN, lone surrogates, 5,000-digit integers, 20,000 levels."""
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """Reads JSON by one reader and refuses query parameters that the route does not name."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = _query_names(self.dependant)

        async def strict(request: Request) -> Response:
            unknown = sorted(set(request.query_params) - known)
            if unknown:
                raise Invalid("There is no such parameter here.", field=unknown[0][:80])
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def _query_names(dependant: Dependant) -> set[str]:
    return {p.alias for p in dependant.query_params}.union(*(_query_names(d) for d in dependant.dependencies))


def router(tag: str) -> APIRouter:
    return APIRouter(prefix="/api/v1", tags=[tag], route_class=StrictRoute, responses=REFUSALS)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _printable(text: str) -> str:
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise ValueError("Control characters are not allowed.")
    return text


Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
LongText = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_printable)]


def _fits(text: str) -> str:
    if not 0 < int(text) < 2**63:
        raise ValueError("This is not an id.")
    return text


Id = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,19}$"), AfterValidator(_fits), Field(examples=["818848460122882048"])
]
Version = Annotated[int, Field(strict=True, ge=1, lt=2**53, description="The version that you saw.", examples=[7])]


def path_id(text: str) -> int:
    """An id out of a path. What can't be one is as absent as what is not there: NotFound."""
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) >= 2**63:
        raise NotFound
    return int(text)
