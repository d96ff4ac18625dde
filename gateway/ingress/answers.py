"""What we answer when a request gets no further: plain text at the portals' doors, RFC 9457 problems at the API's."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import Field
from starlette.responses import JSONResponse
from starlette.types import Scope, Send

from govpost.schemas._model import Model

__all__ = ["API_PREFIX", "PROBLEM_TYPE", "RETRY_SOON", "FieldProblem", "ProblemDetails", "ProblemReply", "refuse"]

API_PREFIX = "/api/v1"
PROBLEM_TYPE = "application/problem+json"
#: Seconds after which it is worth trying again, where we can only guess.
RETRY_SOON: Mapping[str, str] = {"retry-after": "1"}


class FieldProblem(Model):
    """One member that does not fit."""

    #: Its path in the document, or the parameter's name.
    field: str
    reason: str


class ProblemDetails(Model):
    """An error, as RFC 9457 says it. Holds no value that was sent to us."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    #: What does not fit, where it is known.
    errors: tuple[FieldProblem, ...] = ()
    #: The number under which our log has the fault.
    fault_id: str | None = Field(default=None)


def _problem(status: int, detail: str, errors: Sequence[FieldProblem], fault_id: str | None) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    problem = ProblemDetails(title=title, status=status, detail=detail, errors=tuple(errors), fault_id=fault_id)
    told: dict[str, Any] = problem.model_dump()
    return {name: value for name, value in told.items() if value not in (None, ())}


class ProblemReply(JSONResponse):
    """A problem as an answer of the API."""

    media_type = PROBLEM_TYPE

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(_problem(status, detail, errors, None), status_code=status, headers=headers)


async def refuse(
    scope: Scope,
    send: Send,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    fault_id: str | None = None,
) -> None:
    """Answer before or instead of an application, in the form of the door that was knocked at."""
    if scope["path"].startswith(API_PREFIX):
        media_type = PROBLEM_TYPE
        body = json.dumps(_problem(status, detail, (), fault_id)).encode()
    else:
        media_type = "text/plain; charset=utf-8"
        body = f"{detail}\n".encode()
    fields = {"content-type": media_type, "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
