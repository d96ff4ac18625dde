"""Times as the portals write them: without a zone they are Asia/Shanghai; ours are aware UTC.

Each form is a codec (`govpost.adapters.fields`).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

__all__ = ["COMPACT", "DASHED", "RFC3339", "SHANGHAI", "TimeFormat", "ZonedFormat"]

#: Fixed, not from the zone database: the offset has not changed since 1991, and not every machine has the database.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """Times without a zone."""

    #: As the contracts write it.
    name: str
    #: Six groups, from the year to the second.
    pattern: re.Pattern[str]
    layout: str

    def decode(self, value: Any) -> datetime:
        """Read a time; raises ValueError, without the value, when it is not one."""
        match = self.pattern.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"is not a time {self.name}")
        year, month, day, hour, minute, second = map(int, match.groups())
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("is not a time that exists") from None

    def encode(self, value: datetime) -> str:
        """Write a time; fractions of a second are cut off."""
        there = value.astimezone(SHANGHAI)
        return self.layout.format(there.year, there.month, there.day, there.hour, there.minute, there.second)


@dataclass(frozen=True, slots=True)
class ZonedFormat:
    """Times with an offset (RFC 3339), as XML's dateTime and JSON like them."""

    pattern: re.Pattern[str]

    def decode(self, value: Any) -> datetime:
        """Read a time; raises ValueError, without the value, when it is not one or has no offset."""
        if not isinstance(value, str) or not self.pattern.fullmatch(value):
            raise ValueError("is not an RFC 3339 time with an offset")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("is not a time that exists") from None

    def encode(self, value: datetime) -> str:
        """Write a time with Shanghai's offset, to the second."""
        return value.astimezone(SHANGHAI).isoformat(timespec="seconds")


DASHED = TimeFormat(
    "yyyy-MM-dd HH:mm:ss",
    re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})"),
    "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
)
COMPACT = TimeFormat(
    "yyyyMMddHHmmss",
    re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})"),
    "{:04}{:02}{:02}{:02}{:02}{:02}",
)
RFC3339 = ZonedFormat(
    re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
    )
)
