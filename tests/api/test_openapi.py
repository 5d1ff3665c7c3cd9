"""The document says what the application does, route by route."""

from collections.abc import Iterator
from typing import Any

from fastapi.openapi.models import OpenAPI
from fastapi.routing import APIRoute

from backend.app import ROUTERS
from tests.world import World


async def document_of(world: World) -> dict[str, Any]:
    answer = await (await world.client()).get("/api/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def described(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{m.upper()} {path}": o for path, methods in document["paths"].items() for m, o in methods.items()}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_the_document_is_valid_openapi(world: World) -> None:
    document = await document_of(world)
    assert document["openapi"].startswith("3.1.") and document["info"]["title"] == "Leadfloor"
    OpenAPI.model_validate(document)
    for reference in _references(document):
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
    ids = [o["operationId"] for o in described(document).values() if "operationId" in o]
    assert len(ids) == len(set(ids))


async def test_every_route_is_in_the_document_and_the_other_way_round(world: World) -> None:
    served = {
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert described(await document_of(world)).keys() == served | {"GET /api/v1/stream", "POST /api/webhook/whatsapp"}


async def test_every_route_says_what_it_is_for_who_may_call_it_and_how_it_refuses(world: World) -> None:
    document = await document_of(world)
    schemes = set(document["components"]["securitySchemes"])
    for name, operation in described(document).items():
        assert operation["summary"] and operation["tags"], name
        demands = operation["security"]
        assert demands == [] or {s for demand in demands for s in demand} == schemes, name
        if "/api/v1/" in name and "stream" not in name:
            assert "application/problem+json" in operation["responses"]["4XX"]["content"], name
            assert "422" not in operation["responses"], name


async def test_every_body_has_an_example_that_its_own_schema_names(world: World) -> None:
    document = await document_of(world)
    for name, operation in described(document).items():
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            continue
        options = [schema, *schema.get("anyOf", [])]
        (reference,) = [s["$ref"] for s in options if "$ref" in s]
        model = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert model["additionalProperties"] is False, name
        assert any("examples" in str(field) for field in model["properties"].values()), name


async def test_the_document_gives_no_secret_away(world: World) -> None:
    text = str(await document_of(world))
    for secret in (world.hub.settings.secret_key, str(world.store.path), world.hub.keys.derived("page").hex()):
        assert secret not in text
