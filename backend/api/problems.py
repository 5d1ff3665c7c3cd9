"""Refusals → RFC 9457 problem documents. One of the two places where errors are translated."""

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import HubError, Invalid

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused; `code` says why, `errors` which field.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "code"],
                    "properties": {
                        **{name: {"type": "string"} for name in ("type", "title", "detail", "code")},
                        "status": {"type": "integer"},
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                            },
                        },
                    },
                },
                "example": {
                    "type": "urn:leadfloor:stale",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "Acme has changed since you looked.",
                    "code": "stale",
                    "version": 8,
                },
            }
        },
    }
}
"""What every route may answer, for the OpenAPI document."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(HubError, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """`{type, title, status, detail, code, …}` with the media type that says so."""
    document = {
        "type": f"urn:leadfloor:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **extra,
    }
    return Response(orjson.dumps(document), status, headers, "application/problem+json")


async def _refused(request: Request, error: HubError) -> Response:
    retry = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(retry)} if retry is not None else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.status, error.code, error.message, headers, **error.extra)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = [
        {"field": ".".join(str(part) for part in e["loc"][1:]) or str(e["loc"][0]), "message": _sentence(e)}
        for e in error.errors()[:20]
    ]
    detail = found[0]["message"] if found else "The request can't be understood."
    return problem(422, Invalid.code, detail, errors=found)


def _sentence(error: Any) -> str:
    # Messages never repeat what was sent: it may be a password.
    return str(error["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: HTTPException) -> Response:
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "refused")
    headers = dict(error.headers or {})
    return problem(error.status_code, code, str(error.detail), headers)
