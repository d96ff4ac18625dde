"""What an HTTP status says of an attempt, where a wire's own words do not say it (contract: webhook)."""

import math
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from govpost.schemas import Outcome, OutcomeKind, WireReply

__all__ = ["ask_seconds", "outcome_kind", "retry_after", "status_outcome"]

_AUTH = dict.fromkeys((401, 403), OutcomeKind.AUTH)
_MISCONFIGURED = dict.fromkeys((404, 405, 410), OutcomeKind.MISCONFIGURED)
_REFUSED = dict.fromkeys((400, 413, 422), OutcomeKind.REFUSED)
_BUSY = dict.fromkeys((408, 425, 429), OutcomeKind.BUSY)

_KINDS = {**_AUTH, **_MISCONFIGURED, **_REFUSED, **_BUSY, 409: OutcomeKind.TAKEN}
#: By the hundred, where a status has no line of its own; any other may mean anything.
_CLASSES = {2: OutcomeKind.TAKEN, 3: OutcomeKind.MISCONFIGURED}


def outcome_kind(status: int) -> OutcomeKind:
    """Tell what a status means; one that is not in the contract's list is `unknown`."""
    return _KINDS.get(status) or _CLASSES.get(status // 100, OutcomeKind.UNKNOWN)


def status_outcome(reply: WireReply, at: datetime) -> Outcome:
    """Build the outcome that a reply's status stands for; `at` is now, for a Retry-After that is a date."""
    kind = outcome_kind(reply.status)
    wait_s = retry_after(reply.headers.get("Retry-After"), at) if kind is OutcomeKind.BUSY else None
    return Outcome(kind, code=f"HTTP {reply.status}", wait_s=wait_s)


def retry_after(value: str | None, at: datetime) -> float | None:
    """Read a Retry-After header, seconds or a date; None when there is none or it is neither."""
    if not value:
        return None
    seconds = ask_seconds(value)
    return seconds if seconds is not None else _seconds_until(value, at)


def ask_seconds(value: Any) -> float | None:
    """Read how long somebody asked us to wait, a number or its text; None when it is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(value: str, at: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - at).total_seconds())
