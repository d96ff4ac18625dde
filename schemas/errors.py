"""What can go wrong, as one tree.

::

    GovpostError                      portal, order_id, portal_code; chained with ``from``
    ├── MappingError                  pure and final: a value does not fit; carries the path
    │   └── UnsupportedFeatureError   an order field that a system has no words for
    ├── UnreadableError               bytes that are not the document they should be
    ├── BreakageError                 a request or its reply was lost; carries the outcome
    └── LedgerError                   nothing was stored, what was acknowledged stays
        ├── LedgerUnavailableError    disk full, file locked, commit failed: try again
        └── UnknownOrderError         no order under that number

    ConfigurationError                stands outside, so that no delivery loop swallows it
    ├── KeyFileError                  the ledger's key file is missing, foreign or readable by others
    └── LedgerVersionError            the ledger was written by a newer govpost

Messages name the field and the kind of value, never the value: it may be personal data.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from govpost.schemas.outcome import Outcome

__all__ = [
    "BreakageError",
    "ConfigurationError",
    "GovpostError",
    "KeyFileError",
    "LedgerError",
    "LedgerUnavailableError",
    "LedgerVersionError",
    "MappingError",
    "UnknownOrderError",
    "UnreadableError",
    "UnsupportedFeatureError",
]


class GovpostError(Exception):
    """Base of everything that govpost raises while it works."""

    def __init__(
        self,
        message: str,
        *,
        portal: str | None = None,
        order_id: str | None = None,
        portal_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.portal = portal
        self.order_id = order_id
        self.portal_code = portal_code


class MappingError(GovpostError):
    """Say that the value at `path` does not fit, and why; `path` is in the words of the document it stands in."""

    def __init__(self, path: str, reason: str, **facts: str | None) -> None:
        super().__init__(f"{path}: {reason}" if path else reason, **facts)
        self.path = path
        self.reason = reason


class UnsupportedFeatureError(MappingError):
    """Say that an order uses a field that this system has no words for."""


class UnreadableError(GovpostError):
    """Say that bytes are not the document they should be (not UTF-8, not JSON, too deep …)."""


class BreakageError(GovpostError):
    """Carry the outcome of a request that broke: `not_sent` or `unknown` and the like."""

    def __init__(self, outcome: "Outcome", **facts: str | None) -> None:
        super().__init__(f"{outcome.kind}: {outcome.code}", **facts)
        self.outcome = outcome


class LedgerError(GovpostError):
    """Say that the ledger did not do what was asked, and stored nothing of it."""


class LedgerUnavailableError(LedgerError):
    """Say that the ledger cannot be written now; the caller may try again."""


class UnknownOrderError(LedgerError):
    """Say that there is no order under that number."""


class ConfigurationError(Exception):
    """Say what in the settings or on the disk keeps govpost from starting, and what to do about it."""


class KeyFileError(ConfigurationError):
    """Say that the key file is missing, foreign to this ledger, or readable by others."""


class LedgerVersionError(ConfigurationError):
    """Say that the ledger's tables were written by a newer govpost than this one."""
