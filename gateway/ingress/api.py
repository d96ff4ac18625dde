"""``/api/v1``: events in from backends, orders out to whoever runs them (contract: webhook).

Everyone shows a bearer token. Every error is an RFC 9457 problem and holds no value that was sent. A body is read
only after the token fits, and strictly: what two JSON readers might read differently is refused.
"""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BeforeValidator, SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from govpost.adapters.webhook.events import parse_event, parse_listed_event
from govpost.gateway.ingress.answers import API_PREFIX, RETRY_SOON, FieldProblem, ProblemReply
from govpost.gateway.ingress.openapi import build_openapi, request_body
from govpost.gateway.ingress.views import OrderDetail, OrderList, build_order_detail, build_order_list
from govpost.gateway.ledger import Recorded
from govpost.schemas import Event, Status
from govpost.schemas._model import Model
from govpost.schemas.documents import parse_json, parse_json_object
from govpost.schemas.errors import LedgerUnavailableError, MappingError, UnknownOrderError, UnreadableError
from govpost.schemas.identifiers import OrderId

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["EventAnswer", "ListedEventAnswer", "create_api"]

T = TypeVar("T")

#: Reading and checking more than this takes long enough for others to notice: off the event loop with it.
_LONG_BODY_BYTES = 64 * 1024

_OK = frozenset({200, 201})


class EventAnswer(Model):
    """The event is durable."""

    event_id: str
    #: Whether it moved the order.
    moved: bool


class ListedEventAnswer(Model):
    """What became of one event of a list: 201 new, 200 the same again, 404, 409 or 422 as for a single one."""

    #: Null where it could not be read.
    event_id: str | None
    status: int
    detail: str | None = None


def create_api(gateway: "Gateway") -> FastAPI:
    """Make the API, without its page."""
    api = FastAPI(
        title="govpost",
        summary="Events in, orders out.",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=_HANDLERS,
    )
    api.state.gateway = gateway
    api.include_router(_router, prefix=API_PREFIX)
    api.openapi = lambda: build_openapi(api)  # type: ignore[method-assign]  # FastAPI's documented way
    return api


async def _authorize(
    request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> None:
    """Let in whoever shows one of the tokens; all are compared, in constant time."""
    tokens: tuple[SecretStr, ...] = _gateway(request).settings.api.tokens
    if not tokens:
        # Not a 401: a backend would drop its events, and they are wanted as soon as the settings are complete.
        raise HTTPException(503, "no token is configured ([api] tokens), so nobody can be let in", dict(RETRY_SOON))
    given = shown.credentials.encode() if shown else b""
    if not any([compare_digest(given, token.get_secret_value().encode()) for token in tokens]):  # noqa: C419 - no early end
        raise HTTPException(401, "show a token: Authorization: Bearer …", {"www-authenticate": "Bearer"})


_router = APIRouter(dependencies=[Depends(_authorize)])


def _gateway(request: Request) -> "Gateway":
    gateway: Gateway = request.app.state.gateway
    return gateway


# Events.


@_router.post(
    "/orders/{order_id}/events",
    status_code=201,
    response_model=EventAnswer,
    openapi_extra=request_body("Event"),
    responses={200: {"model": EventAnswer, "description": "The same event again"}},
)
async def record_event(order_id: str, request: Request) -> Response:
    """Record one event of an order. Safe to repeat: `event_id` is its identity."""
    event = await _parsed(request, _parse_event)
    [recorded] = await _gateway(request).arecord_many([(order_id, event)])
    if recorded.status not in _OK:
        return ProblemReply(recorded.status, recorded.detail or "the event was not recorded")
    answer = EventAnswer(event_id=event.event_id, moved=recorded.moved)
    return JSONResponse(answer.model_dump(), status_code=recorded.status)


@_router.post(
    "/events", response_model=list[ListedEventAnswer], openapi_extra=request_body("ListedEvent", is_list=True)
)
async def record_events(request: Request) -> Response:
    """Record a list of events, each alone: answers stand in the order of the events."""
    items = await _parsed(request, _parse_listed_events)
    known = [(item.order_id, item.event) for item in items if item.event is not None]
    recorded = iter(await _gateway(request).arecord_many(known))
    answers = [_listed_answer(item, recorded) for item in items]
    return JSONResponse(
        [answer.model_dump(exclude={"detail"} if answer.detail is None else None) for answer in answers]
    )


@dataclass(frozen=True, slots=True)
class _Listed:
    """One item of a list: an event to record, or what is wrong with it."""

    event_id: str | None
    order_id: str = ""
    event: Event | None = field(default=None, repr=False)
    detail: str | None = None


def _listed_answer(item: _Listed, recorded: Iterator[Recorded]) -> ListedEventAnswer:
    if item.event is None:
        return ListedEventAnswer(event_id=item.event_id, status=422, detail=item.detail)
    result = next(recorded)
    return ListedEventAnswer(event_id=item.event_id, status=result.status, detail=result.detail)


async def _parsed(request: Request, parse: Callable[[bytes], T]) -> T:
    body = await request.body()
    return parse(body) if len(body) < _LONG_BODY_BYTES else await run_in_threadpool(parse, body)


def _parse_event(body: bytes) -> Event:
    return parse_event(parse_json_object(body))


def _parse_listed_events(body: bytes) -> list[_Listed]:
    document = parse_json(body)
    if not isinstance(document, list):
        raise MappingError("", "the body must be a list of events")
    return [_parse_listed_event(item) for item in document]


def _parse_listed_event(item: Any) -> _Listed:
    event_id = item.get("event_id") if isinstance(item, dict) else None
    try:
        order_id, event = parse_listed_event(item)
    except MappingError as error:
        return _Listed(event_id if isinstance(event_id, str) else None, detail=str(error))
    return _Listed(event.event_id, order_id, event)


# Orders.


def _blank_is_absent(value: Any) -> Any:
    return value or None


def _plus_for_blank(value: Any) -> Any:
    # "+08:00" that nobody percent-encoded arrives as " 08:00".
    return value.replace(" ", "+") or None if isinstance(value, str) else value


@_router.get("/orders")
def find_orders(
    request: Request,
    portal: Annotated[
        str | None, BeforeValidator(_blank_is_absent), Query(description="Section name of the portal")
    ] = None,
    status: Annotated[Status | None, BeforeValidator(_blank_is_absent), Query()] = None,
    since: Annotated[
        AwareDatetime | None, BeforeValidator(_plus_for_blank), Query(description="Accepted then or later")
    ] = None,
    cursor: Annotated[
        OrderId | None, BeforeValidator(_blank_is_absent), Query(description="Of the page before")
    ] = None,
) -> OrderList:
    """List orders, newest first, a page at a time."""
    page = _gateway(request).ledger.find_orders(portal=portal, status=status, since=since, cursor=cursor)
    return build_order_list(page)


@_router.get("/orders/{order_id}")
def read_order(order_id: str, request: Request) -> OrderDetail:
    """Show an order and what happened to it. People are masked."""
    ledger = _gateway(request).ledger
    return build_order_detail(ledger.read_order(order_id), ledger.read_events(order_id))


# Errors.


async def _on_http(_request: Request, error: HTTPException) -> Response:
    return ProblemReply(error.status_code, error.detail, headers=error.headers)


async def _on_parameter(_request: Request, error: RequestValidationError) -> Response:
    problems = [
        FieldProblem(field=".".join(map(str, one["loc"][1:])), reason=one["msg"].removeprefix("Value error, "))
        for one in error.errors()
    ]
    return ProblemReply(422, "a parameter does not fit", errors=problems)


async def _on_mapping(_request: Request, error: MappingError) -> Response:
    problems = [FieldProblem(field=error.path, reason=error.reason)] if error.path else []
    return ProblemReply(422, str(error), errors=problems)


async def _on_unreadable(_request: Request, error: UnreadableError) -> Response:
    return ProblemReply(400, str(error))


async def _on_unknown_order(_request: Request, _error: UnknownOrderError) -> Response:
    return ProblemReply(404, "no order has this number")


async def _on_unavailable(_request: Request, _error: LedgerUnavailableError) -> Response:
    return ProblemReply(503, "the ledger cannot be written now; nothing was recorded; try again", headers=RETRY_SOON)


async def _leave_to_faults(_request: Request, error: Exception) -> NoReturn:
    """Keep Starlette from answering and logging what `Faults`, around everything, answers and logs once."""
    raise error


_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _on_http,
    RequestValidationError: _on_parameter,
    MappingError: _on_mapping,
    UnreadableError: _on_unreadable,
    UnknownOrderError: _on_unknown_order,
    LedgerUnavailableError: _on_unavailable,
    Exception: _leave_to_faults,
}
