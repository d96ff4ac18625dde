"""Logs: one constant event name a record, flat facts beside it, and nothing personal, whatever is passed.

Everything of ours logs through `get_logger`. The cleaning is part of the logger, not of a configuration, so it also
holds in a service that uses the library and configures nothing or something else; there the records arrive at the
standard library's logger ``govpost``, where that service's own handlers decide. Only the daemon and the CLI call
`configure_logging`.
"""

import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from govpost.schemas.errors import ConfigurationError, GovpostError

__all__ = ["EVENTS", "PERSONAL_KEYS", "configure_logging", "get_logger"]

#: Every event name that is ever logged.
#: Levels: INFO a state changed, WARNING it will be tried again, ERROR a person must act.
EVENTS: Mapping[str, str] = {
    "gateway.started": "ready to take orders",
    "gateway.stopping": "told to stop: nothing new is begun",
    "gateway.stopped": "everything in hand is finished or given back",
    "gateway.relay_failed": "the relay met a fault of its own and starts over",
    "order.accepted": "an order is durable",
    "order.repeated": "an order came again with the same content",
    "order.conflict": "an order came again with other content; nothing changed",
    "order.amended": "an order goes to somebody else",
    "order.cancelled": "an order is cancelled",
    "request.denied": "a portal's request was not done",
    "request.failed": "a request met a fault of ours; the caller was told to come back",
    "event.recorded": "an event of an item is durable",
    "event.kept": "a backend told of items that no order is known for; it is kept until one is",
    "poll.failed": "a portal brought no orders and is asked again",
    "poll.overtaken": "somebody else polled the portal meanwhile; what was brought is asked for again",
    "poll.adapter_failed": "an adapter broke while it polled; a person must see why",
    "reconcile.done": "our books were compared with another's",
    "reconcile.failed": "the other's books could not be read and are asked for again",
    "reconcile.adapter_failed": "an adapter broke while it read the other's books; a person must see why",
    "reconcile.difference": "the books differ, and a person must say which is right",
    "delivery.taken": "the far side has it",
    "delivery.refused": "the far side said no, as it may; what follows in the lane goes on",
    "delivery.retry_scheduled": "it did not get there and will be tried again",
    "delivery.unknown": "it may have got there; the far side will be asked",
    "delivery.adapter_failed": "an adapter broke; a person must see why",
    "delivery.not_settled": "what became of it cannot be stored; a person must see why, then replay it",
    "delivery.dead": "it will not be tried again by itself",
    "delivery.replayed": "a person had a dead delivery tried again",
    "delivery.dropped": "a person gave a dead delivery up",
    "lane.parked": "the deliveries of one order to one destination wait for a person",
    "lane.resumed": "they go on",
    "destination.paused": "nothing is sent there for a while",
    "destination.opened": "sending goes on",
    "worker.reclaimed": "work of an instance that died was taken over",
    "waybill.differs": "a second waybill number came for the same leg; the first stays",
    "ledger.opened": "the ledger is open, migrated where it had to be",
    "ledger.unavailable": "the ledger cannot be written; new orders are refused",
    "config.warning": "allowed, but unwise",
    "log": "a message of a library, its text beside it",
}

#: Facts of these names are never rendered, however deep they stand.
PERSONAL_KEYS = frozenset({
    "address", "applicant", "authorization", "body", "certificate_no", "content", "data", "document",
    "extras", "headers", "id_document", "id_no", "key", "mobile", "name", "note", "order", "party",
    "password", "payload", "phone", "proof", "recipient", "remark", "secret", "sender", "signer", "street",
    "telephone", "text", "token", "tokens",
})  # fmt: skip

_NAME = "govpost"
_MASK = "***"
_PLAIN = (str, bool, int, float, Enum, datetime, date, PurePath, type(None))
#: A mobile or an ID number that stands alone in foreign text.
_PERSONAL_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?:1[3-9][0-9]{9}|[1-9][0-9]{16}[0-9Xx])(?![0-9A-Za-z])")
#: Exceptions whose text is known to hold no values: ours by rule, these by what they are made from.
_SPOKEN = (GovpostError, ConfigurationError, sqlite3.Error)


def get_logger(name: str = _NAME, /, **facts: Any) -> structlog.stdlib.BoundLogger:
    """Return a logger of this project (`govpost` or `govpost.<part>`), with `facts` bound to each of its records."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=_CHAIN,
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
        **facts,
    )
    return logger


def configure_logging(*, json: bool, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send everything, libraries' messages included, to `stream` (stderr): JSON a line, or in colours for people.

    For a process of our own only: it replaces the handlers of the root logger.
    """
    stream = stream or sys.stderr
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_foreign, *_CLEANING],
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_NAME).setLevel(level)
    # Code that took a plain structlog logger ends in the same place.
    structlog.configure(
        processors=_CHAIN,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=lambda *names: logging.getLogger(*(names or (_NAME,))),
        cache_logger_on_first_use=True,
    )


def _render_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put an exception's types and places into the record; its text only where that cannot hold a value."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = [_describe(one) for one in _chain(error)]
    event.pop("stack_info", None)
    return event


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from what was raised to what began it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _describe(error: BaseException) -> str:
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return " < ".join([f"{type(error).__qualname__}{_said(error)}", *reversed(places)])


def _said(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f": {error.strerror}"
    return f": {error}" if isinstance(error, _SPOKEN) else ""


def _mask_facts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Render plain facts only: no secret, no personal key, no object whose text we do not know."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: Any, value: Any) -> Any:
    if name in PERSONAL_KEYS:
        return _MASK
    if type(value) is str:  # nearly every fact; not an Enum, which may be a str as well
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _PLAIN):
        return value if isinstance(value, str | int | float | None) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _clean(key, item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
        return [_clean(None, item) for item in value]
    return f"<{type(value).__name__}>"


def _name_foreign(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give a library's message our form: a constant event name, its text as a fact."""
    message = _PERSONAL_NUMBER.sub(_MASK, str(event["event"]))
    record = event.get("_record")
    return {**event, "event": "log", "message": message, "logger": record.name if record else None}


def _mask_foreign_facts(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Clean what a library passed, leaving structlog's own marks (`_record`) for its formatter to take away."""
    marks = {name: value for name, value in event.items() if str(name).startswith("_")}
    facts = {name: value for name, value in event.items() if name not in marks}
    return {**_mask_facts(logger, method, facts), **marks}


_CLEANING: list[Any] = [structlog.stdlib.add_log_level, _render_exception, _mask_foreign_facts]
_CHAIN: list[Any] = [
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    _render_exception,
    _mask_facts,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
