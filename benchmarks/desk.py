"""A worker's steps before and after the wire, and no wire between: whatever is claimed is taken at once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal
from govpost.gateway.ledger import Batch, Claim, Ledger, Settlement
from govpost.gateway.relay import Destination, Tried, judge_batch
from govpost.gateway.settings import RelaySettings
from govpost.gateway.worker import utc_now
from govpost.mocks._synthetic import s10_number
from govpost.schemas import Outcome, OutcomeKind
from govpost.schemas.identifiers import check_waybill_no

__all__ = ["Desk", "at_desk"]

_WORKER = "01BENCHMARKBENCHMARKBENCHM"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the deliveries to one destination are claimed and settled."""

    ledger: Ledger
    destination: Destination
    relay: RelaySettings

    def claim(self, most: int) -> tuple[Batch, ...]:
        """Lease and render what is due, in at most so many requests."""
        claims = self.ledger.claim(self.destination.name, worker_id=_WORKER, most=most, render=self._render)
        return claims.result().batches

    def settle(self, batches: Iterable[Batch]) -> int:
        """Settle as taken, as a worker does; returns how many deliveries that were."""
        settled = [
            self.ledger.settle(
                self._judge(batch),
                worker_id=_WORKER,
                pause_base_s=self.relay.pause_base_s,
                pause_cap_s=self.relay.pause_cap_s,
                breakages_to_pause=self.relay.breakages_to_pause,
            )
            for batch in batches
        ]
        return sum(future.result().counted for future in settled)

    def _judge(self, batch: Batch) -> list[Settlement]:
        now = utc_now()
        tried = [Tried(_taken(claim), is_uncertain=False) for claim in batch]
        return judge_batch(
            batch, tried, manifest=self.destination.manifest, settings=self.relay, started_at=now, now=now
        )

    def _render(self, _name: str, owed: Owed | OwedRefusal) -> Document:
        if isinstance(owed, OwedRefusal):
            raise TypeError("benchmarks hand over nothing that must be refused")
        return self.destination.adapter.render(owed)


@contextmanager
def at_desk(ledger: Ledger, destination: Destination, relay: RelaySettings) -> Iterator[Desk]:
    """Be a worker of a ledger for a while."""
    ledger.register(_WORKER, holds_lock=False).result()
    yield Desk(ledger, destination, relay)
    ledger.retire(_WORKER, probe_after_s=0).result()


def _taken(claim: Claim) -> Outcome:
    """Say that it was taken; of a placement under a number that no other one gets."""
    if claim.kind is not DeliveryKind.PLACE:
        return Outcome(OutcomeKind.TAKEN)
    serial = int.from_bytes(claim.delivery_id[-4:].encode())
    return Outcome(OutcomeKind.TAKEN, waybill_no=check_waybill_no(s10_number("EA", serial)))
