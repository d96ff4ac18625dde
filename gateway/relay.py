"""Decide how one delivery is tried, and what becomes of it. No I/O: the drivers in `transport` carry the requests.

`attempt` is a conversation over the conversations of an adapter: it probes where the newest attempt may have arrived,
sends, and turns whatever happens into one `Outcome` for each delivery. `judge` turns the outcome into what the ledger
is to do: one rule for each kind, in a table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_random_exponential

from govpost.adapters.base import DeliveryKind, Outbound, OwedRefusal
from govpost.adapters.manifest import Manifest
from govpost.gateway.ledger import Batch, Claim, DeadReason, Next, Settlement
from govpost.gateway.settings import RelaySettings
from govpost.gateway.transport import LEASE_LOST
from govpost.schemas import Conversation, Outcome, OutcomeKind, Presence, Source
from govpost.schemas.errors import BreakageError, GovpostError, UnreadableError

__all__ = ["ADAPTER_FAILED", "Destination", "Tried", "apart", "attempt", "judge", "judge_batch"]

#: Code of an outcome that cannot be cleared up: nobody can be asked.
NO_PROBE = "no_probe"
#: Code of an outcome that an adapter's own fault brought about.
ADAPTER_FAILED = "adapter_failed"
#: What did not leave for these reasons says nothing of the destination.
_OUR_OWN = frozenset({LEASE_LOST, ADAPTER_FAILED})

_LONGEST_WAIT = timedelta(hours=24)
#: A command's final no is an answer to the portal that gave it, not work for a person.
_ANSWERABLE = frozenset({DeliveryKind.CANCEL, DeliveryKind.AMEND})


@dataclass(frozen=True, slots=True)
class Destination:
    """A system as something we call."""

    name: str
    adapter: Outbound
    #: Requests a second, from all workers together; None: as many as there are.
    rate_per_s: float | None = None

    @property
    def manifest(self) -> Manifest:
        """What the adapter says of itself."""
        return self.adapter.manifest

    def is_cpu_heavy(self, method: str) -> bool:
        """Say whether the steps of a conversation run off the event loop."""
        return method in self.manifest.cpu_heavy


@dataclass(frozen=True, slots=True)
class Tried:
    """How an attempt ended."""

    outcome: Outcome
    #: Whether, after it, the destination may have the delivery without our knowing.
    is_uncertain: bool


def attempt(destination: Destination, batch: Batch, source: Source) -> Conversation[list[Tried]]:
    """Try what one request carries; never raises for what the other side or the wire does.

    What must be asked after first travels alone, so a batch has no doubts but those that need no asking.
    """
    claim = batch[0]
    if claim.unsayable is not None:
        return [Tried(claim.unsayable, is_uncertain=False)]
    if claim.is_uncertain:
        doubt = yield from _clear_doubt(destination, claim, source)
        if doubt is not None:
            return [doubt] * len(batch)
    outcomes = yield from _send(destination, batch, source)
    return [Tried(outcome, is_uncertain=outcome.kind is OutcomeKind.UNKNOWN) for outcome in outcomes]


def _clear_doubt(destination: Destination, claim: Claim, source: Source) -> Conversation[Tried | None]:
    """Find out whether an earlier attempt arrived; None: it may be sent again."""
    if isinstance(claim.owed, OwedRefusal) or not destination.manifest.has_probe:
        if destination.manifest.is_idempotent:
            return None
        return Tried(Outcome(OutcomeKind.UNKNOWN, code=NO_PROBE), is_uncertain=True)
    try:
        presence = yield from destination.adapter.probe(claim.owed, source)
    except BreakageError as error:
        # Whatever broke, it broke the question: the delivery is as uncertain as before.
        return Tried(error.outcome, is_uncertain=True)
    except GovpostError:
        presence = Presence.CANNOT_TELL
    match presence:
        case Presence.HAS:
            return Tried(Outcome(OutcomeKind.TAKEN, code="probed"), is_uncertain=False)
        case Presence.CANNOT_TELL:
            return Tried(Outcome(OutcomeKind.UNKNOWN, code="cannot_tell"), is_uncertain=True)
        case Presence.HAS_NOT:
            return None


def _send(destination: Destination, batch: Batch, source: Source) -> Conversation[Sequence[Outcome]]:
    documents = [claim.document for claim in batch if claim.document is not None]
    if len(documents) != len(batch):
        raise ValueError("a claim without a document cannot be sent")
    try:
        outcomes = yield from destination.adapter.send(documents, source)
    except BreakageError as error:
        return [error.outcome] * len(batch)
    except UnreadableError:
        return [Outcome(OutcomeKind.UNKNOWN, code="unreadable")] * len(batch)
    if len(outcomes) != len(batch):
        raise ValueError("an adapter must give one outcome for each document")
    return outcomes


def judge_batch(
    batch: Batch,
    tried: Sequence[Tried],
    *,
    manifest: Manifest,
    settings: RelaySettings,
    started_at: datetime,
    now: datetime,
) -> list[Settlement]:
    """Decide what becomes of what one request carried.

    What failed together is tried again together. Of the destination the first one speaks for all.
    """
    facts: dict[str, Any] = {"manifest": manifest, "settings": settings, "started_at": started_at, "now": now}
    settlements = [judge(claim, each, **facts) for claim, each in zip(batch, tried, strict=True)]
    first = settlements[0]
    return [first, *(_joining(first, each) for each in settlements[1:])]


def _joining(first: Settlement, other: Settlement) -> Settlement:
    failed_together = other.next is Next.RETRY is first.next and other.outcome == first.outcome
    return replace(other, due_at=first.due_at) if failed_together else other


def apart(settlements: Sequence[Settlement]) -> list[list[Settlement]]:
    """Take apart what the ledger cannot store together, so that one at fault fails alone; one alone goes to a person.

    Of the destination only the first speaks.
    """
    if len(settlements) == 1:
        return [[_unstored(settlements[0])]]
    quiet = (replace(each, is_breakage=False, is_lockout=False, is_answer=False) for each in settlements[1:])
    return [[settlements[0]], *([each] for each in quiet)]


def _unstored(settlement: Settlement) -> Settlement:
    outcome = Outcome(OutcomeKind.UNKNOWN, code=DeadReason.NOT_STORED)
    return replace(
        settlement,
        outcome=outcome,
        next=Next.BURY,
        due_at=None,
        is_uncertain=True,
        dead_reason=DeadReason.NOT_STORED,
    )


def judge(
    claim: Claim,
    tried: Tried,
    *,
    manifest: Manifest,
    settings: RelaySettings,
    started_at: datetime,
    now: datetime,
) -> Settlement:
    """Decide what becomes of a delivery after an attempt (design: Outcomes)."""
    return _RULES[tried.outcome.kind](_Case(claim, tried, manifest, settings, started_at, now))


@dataclass(frozen=True, slots=True)
class _Case:
    claim: Claim
    tried: Tried
    manifest: Manifest
    settings: RelaySettings
    started_at: datetime
    now: datetime

    def settlement(self, then: Next, **facts: Any) -> Settlement:
        return Settlement(
            claim=self.claim,
            outcome=self.tried.outcome,
            next=then,
            started_at=self.started_at,
            is_uncertain=self.tried.is_uncertain,
            **facts,
        )

    def bury(self, reason: DeadReason, **facts: Any) -> Settlement:
        return self.settlement(Next.BURY, dead_reason=reason, **facts)

    def retry(self, *, no_sooner_s: float = 0.0, **facts: Any) -> Settlement:
        if self.now - self.claim.first_tried_at >= timedelta(seconds=self.settings.give_up_after_s):
            return self.bury(DeadReason.EXHAUSTED, **facts)
        wait_s = max(no_sooner_s, _back_off(self.settings, self.claim.attempts))
        return self.settlement(Next.RETRY, due_at=self.now + timedelta(seconds=wait_s), **facts)


def _taken(case: _Case) -> Settlement:
    return case.settlement(Next.SETTLE)


def _refused(case: _Case) -> Settlement:
    if case.claim.kind in _ANSWERABLE:
        return case.settlement(Next.SETTLE, is_answer=case.claim.unsayable is None)
    return case.bury(DeadReason.REFUSED, is_answer=case.claim.unsayable is None)


def _not_sent(case: _Case) -> Settlement:
    has_tried = case.tried.outcome.code not in _OUR_OWN
    return case.retry(is_breakage=has_tried, is_answer=has_tried)


def _unknown(case: _Case) -> Settlement:
    can_resolve = case.manifest.has_probe or case.manifest.is_idempotent
    if not can_resolve:
        has_tried = case.tried.outcome.code != NO_PROBE
        return case.bury(DeadReason.UNCERTAIN, is_breakage=has_tried, is_answer=has_tried)
    # A request whose answer was lost may still be on its way: ask no sooner than it would have timed out.
    asked_after_s = case.settings.request_timeout_s if case.manifest.has_probe else 0.0
    elapsed_s = (case.now - case.started_at).total_seconds()
    return case.retry(no_sooner_s=max(0.0, asked_after_s - elapsed_s), is_breakage=True)


def _busy(case: _Case) -> Settlement:
    wait_s = case.tried.outcome.wait_s or 0.0
    if wait_s > _LONGEST_WAIT.total_seconds():
        return case.bury(DeadReason.WAIT_TOO_LONG)
    return case.retry(no_sooner_s=wait_s)


def _locked_out(case: _Case) -> Settlement:
    return case.retry(is_lockout=True)


_RULES: dict[OutcomeKind, Callable[[_Case], Settlement]] = {
    OutcomeKind.TAKEN: _taken,
    OutcomeKind.REFUSED: _refused,
    OutcomeKind.NOT_SENT: _not_sent,
    OutcomeKind.UNKNOWN: _unknown,
    OutcomeKind.BUSY: _busy,
    OutcomeKind.AUTH: _locked_out,
    OutcomeKind.MISCONFIGURED: _locked_out,
}


def _back_off(settings: RelaySettings, attempts: int) -> float:
    """Draw the wait before the next attempt: full jitter under an exponential ceiling (tenacity's, not slept on)."""
    wait = wait_random_exponential(multiplier=settings.retry_base_s, max=settings.retry_cap_s)
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempts
    return wait(state)
