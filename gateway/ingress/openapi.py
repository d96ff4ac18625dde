"""The API's page: openapi.json with full models, and the same for people, without a script or a foreign host."""

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from govpost.gateway.ingress.answers import API_PREFIX, PROBLEM_TYPE, ProblemDetails
from govpost.schemas import Event

__all__ = ["build_openapi", "page_routes", "request_body"]

_REF = "#/components/schemas/{model}"
#: Members of Event that no caller may set.
_OURS = ("cause", "raw_code", "revokes_code", "kept_proof")

#: What every call may answer besides its own.
_PROBLEMS = {
    "400": "The body is not the JSON it should be",
    "401": "No token, or an unknown one",
    "404": "There is no such order",
    "409": "The same event_id was recorded with other content",
    "413": "The body is too large",
    "422": "A member or a parameter does not fit; `errors` names it",
    "500": "A fault of ours; the log has it under `fault_id`",
    "503": "Nothing was done; try again after Retry-After seconds",
}
_ONLY_FOR_EVENTS = frozenset({"400", "409", "413"})


def request_body(model: str, *, is_list: bool = False) -> dict[str, Any]:
    """Say what a call reads itself, as part of its operation; `model` is one of `build_openapi`'s components."""
    schema: dict[str, Any] = {"$ref": _REF.format(model=model)}
    if is_list:
        schema = {"type": "array", "items": schema}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def build_openapi(api: FastAPI) -> dict[str, Any]:
    """Describe the API, once: FastAPI's part, the models that are read strictly, and the problems."""
    if api.openapi_schema is None:
        schema = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
        components = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        components.update(_own_components())
        for _path, method, operation in _operations(schema):
            operation["responses"] |= dict(_problem_responses(method))
        api.openapi_schema = schema
    return api.openapi_schema


def page_routes(api: FastAPI) -> list[Route]:
    """Make ``/api/v1/openapi.json`` and ``/api/v1/docs``."""

    async def answer_schema(_request: Request) -> Response:
        return JSONResponse(api.openapi())

    async def answer_page(_request: Request) -> Response:
        return HTMLResponse(_render(api.openapi()), headers={"content-security-policy": _POLICY})

    return [Route(f"{API_PREFIX}/openapi.json", answer_schema), Route(f"{API_PREFIX}/docs", answer_page)]


def _own_components() -> dict[str, Any]:
    _, document = models_json_schema([(Event, "validation"), (ProblemDetails, "serialization")], ref_template=_REF)
    components: dict[str, Any] = document["$defs"]
    event = components["Event"]
    for name in _OURS:
        del event["properties"][name]
    for name in ("Cause", "KeptProof"):
        del components[name]
    order_id = {"type": "string", "description": "Our number of the order (a ULID)"}
    components["ListedEvent"] = {
        **event,
        "title": "ListedEvent",
        "properties": {"order_id": order_id, **event["properties"]},
        "required": ["order_id", *event["required"]],
    }
    return components


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _problem_responses(method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDetails")}}}
    for status, meaning in _PROBLEMS.items():
        if method == "post" or status not in _ONLY_FOR_EVENTS:
            yield status, {"description": meaning, "content": content}


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} API</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
h2 {{ font: 600 1.1rem ui-monospace, monospace; margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-bottom: 1px solid #eee; padding: .2rem .8rem .2rem 0; vertical-align: top }}
td:first-child {{ font-family: ui-monospace, monospace; white-space: nowrap }}
</style></head><body><h1>{title} API</h1><p>{summary} Every call needs <code>Authorization: Bearer &lt;token&gt;</code>.
The same for programs: <a href="openapi.json">openapi.json</a>.</p>
{body}
</body></html>
"""


def _render(schema: dict[str, Any]) -> str:
    """Write the description for people."""
    parts = [_render_operation(*operation) for operation in _operations(schema)]
    parts += [_render_model(name, model) for name, model in sorted(schema["components"]["schemas"].items())]
    info = schema["info"]
    return _PAGE.format(title=escape(info["title"]), summary=escape(info["summary"]), body="\n".join(parts))


def _render_operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = [(f"{one['name']} ({one['in']})", one.get("description", "")) for one in operation.get("parameters", ())]
    if "requestBody" in operation:
        rows.append(("body", _content_type_name(operation["requestBody"])))
    rows += [
        (status, f"{response['description']} — {_content_type_name(response)}")
        for status, response in sorted(operation["responses"].items())
    ]
    return f"<h2>{escape(f'{method.upper()} {path}')}</h2><p>{escape(operation['description'])}</p>{_table(rows)}"


def _content_type_name(holder: dict[str, Any]) -> str:
    return ", ".join(_type_name(content["schema"]) for content in holder.get("content", {}).values())


def _render_model(name: str, model: dict[str, Any]) -> str:
    required = model.get("required", ())
    rows = [
        (member, _type_name(schema) + ("" if member in required else ", optional"))
        for member, schema in model.get("properties", {}).items()
    ]
    if "enum" in model:
        rows.append(("one of", ", ".join(map(str, model["enum"]))))
    return f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(model.get("description", ""))}</p>{_table(rows)}'


def _type_name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_name(one) for one in schema["anyOf"])
    if "items" in schema:
        return f"list of {_type_name(schema['items'])}"
    return " ".join(str(schema[key]) for key in ("type", "format") if key in schema)


def _table(rows: list[tuple[str, str]]) -> str:
    lines = (f"<tr><td>{escape(name)}</td><td>{escape(meaning)}</td></tr>" for name, meaning in rows)
    return f"<table>{''.join(lines)}</table>" if rows else ""
