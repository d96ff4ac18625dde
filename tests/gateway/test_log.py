"""Logs: one event name a record, and nothing personal."""

import ast
import io
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from govpost.gateway.log import EVENTS, PERSONAL_KEYS, configure_logging, get_logger
from govpost.schemas import Status
from govpost.schemas.errors import LedgerUnavailableError

LOGGERS = {"_log", "log", "logger"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Log as the daemon does, to a text in memory; put the process's own logging back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("govpost")
    before = root.handlers[:], root.level, ours.level
    text = io.StringIO()
    root.handlers[:] = []
    configure_logging(json=True, stream=text)
    yield text
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])
    structlog.reset_defaults()


def only_record(stream: io.StringIO) -> dict[str, Any]:
    """Read the one line that was logged."""
    (line,) = stream.getvalue().splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def test_a_record_is_flat_json(stream: io.StringIO) -> None:
    """Event, level, time and the facts stand side by side, bound ones included."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    get_logger(portal="yukuaiban").info("order.accepted", order_id="01J", status=Status.ACCEPTED, attempt=2, at=at)

    record = only_record(stream)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "order.accepted",
        "level": "info",
        "portal": "yukuaiban",
        "order_id": "01J",
        "status": "accepted",
        "attempt": 2,
        "at": "2026-01-02 03:04:05+00:00",
    }


@pytest.mark.parametrize("key", sorted(PERSONAL_KEYS))
def test_personal_keys_are_masked_at_any_depth(stream: io.StringIO, key: str) -> None:
    """Whatever is logged under the name of something personal is not rendered."""
    get_logger().warning("order.conflict", **{key: "李雷"}, facts={"inner": [{key: "李雷"}]})

    assert "李雷" not in stream.getvalue()
    assert only_record(stream)[key] == "***"


def test_secrets_and_objects_are_named_not_shown(stream: io.StringIO) -> None:
    """A value of a type that we do not know the text of becomes the name of its type."""

    @dataclass
    class Party:
        name: str

    get_logger().info("order.accepted", a=SecretStr("hush"), b=Party("hush"), c=b"hush", d=[SecretStr("hush")])

    assert "hush" not in stream.getvalue()
    record = only_record(stream)
    assert [record[key] for key in "abcd"] == ["<SecretStr>", "<Party>", "<bytes>", ["<SecretStr>"]]


def test_an_exception_shows_type_and_place_but_not_foreign_text(stream: io.StringIO) -> None:
    """Our own errors speak, since their texts hold no values; what caused them only says where."""
    private = "李雷 13912345678"
    try:
        try:
            raise ValueError(private)  # noqa: TRY301 - the chain is the point
        except ValueError as error:
            raise LedgerUnavailableError("the disk is full") from error
    except LedgerUnavailableError:
        get_logger().exception("ledger.unavailable")

    ours, cause = only_record(stream)["exception"]
    assert ours.startswith("LedgerUnavailableError: the disk is full < ")
    assert "test_log.py" in ours
    assert cause.startswith("ValueError < ")
    assert "李雷" not in stream.getvalue()
    assert "13912345678" not in stream.getvalue()


def test_libraries_messages_arrive_cleaned(stream: io.StringIO) -> None:
    """A library's warning gets our form; numbers of people in it are masked, its exceptions are silent."""
    error = KeyError("李雷")
    logging.getLogger("aiohttp").warning("lost %s for %s", "13912345678", "11010519491231002X", exc_info=error)

    record = only_record(stream)
    assert (record["event"], record["logger"], record["message"]) == ("log", "aiohttp", "lost *** for ***")
    assert record["exception"] == ["KeyError"]


def test_libraries_chatter_is_left_out(stream: io.StringIO) -> None:
    """Other people's INFO is not our state change."""
    logging.getLogger("aiohttp").info("hello")

    assert stream.getvalue() == ""


def test_a_library_user_gets_clean_records_without_configuring(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is printed by itself: records reach the standard logger `govpost`, already masked."""
    with caplog.at_level(logging.INFO, logger="govpost"):
        get_logger().info("order.accepted", order_id="01J", phone="13912345678")

    (record,) = caplog.records
    assert record.name == "govpost"
    assert "order.accepted" in record.getMessage()
    assert "01J" in record.getMessage()
    assert "13912345678" not in record.getMessage()


def test_people_get_readable_lines(stream: io.StringIO) -> None:
    """Without JSON a record is one line with the event in front."""
    configure_logging(json=False, stream=stream)

    get_logger().info("gateway.started", port=8080)

    (line,) = stream.getvalue().splitlines()
    assert "gateway.started" in line
    assert "port=8080" in line


def test_every_event_name_is_listed() -> None:
    """What the engine logs is a constant that stands in EVENTS, and each has a meaning."""
    root = Path(str(files("govpost.gateway")))
    logged = {event for path in sorted(root.rglob("*.py")) for event in events_logged(path)}

    assert sorted(event for event in logged if event not in EVENTS) == []
    assert all(EVENTS.values())


def events_logged(path: Path) -> Iterator[str]:
    """Yield the first argument of each call of a logger's method in a module; what is no constant, as its source."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[first, *_]):
                if name in LOGGERS and method in LEVELS:
                    choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                    yield from (ast.unparse(choice).strip("'") for choice in choices)


def test_configures_stderr_by_default(capsys: pytest.CaptureFixture[str], stream: io.StringIO) -> None:
    """The daemon's log is on stderr, so that stdout stays for answers."""
    configure_logging(json=True, stream=sys.stderr)

    get_logger().info("gateway.stopped")

    out, err = capsys.readouterr()
    assert (out, stream.getvalue()) == ("", "")
    assert json.loads(err)["event"] == "gateway.stopped"
