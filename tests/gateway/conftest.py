"""What the engine's tests stand on: a ledger in a file of its own, a clock that they move, and short words."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from govpost.adapters.base import Document, Owed, OwedRefusal
from govpost.gateway.ledger import Claim, DeadReason, Ledger, Next, PortalTerms, Settled, Settlement
from govpost.gateway.ledger.reads import DeliveryRow
from govpost.schemas import (
    Address,
    Amend,
    Cancel,
    Direction,
    Event,
    IdDocument,
    Item,
    Matter,
    Mode,
    OrderContent,
    Outcome,
    OutcomeKind,
    Party,
    Payer,
    Place,
    Status,
)

PORTAL, POST = "city", "post"
MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

TOLD = frozenset(Status) - {Status.ACCEPTED, Status.UNKNOWN}
TERMS = {PORTAL: PortalTerms(TOLD, TOLD - {Status.CANCELLED}, tells_own_cancel=False)}

SENDER = Party(name="陶雨芳", phone="17134182391", address=Address(street="解放西路710号23栋7-4"))
RECIPIENT = Party(
    name="华杰建",
    phone="18333267866",
    address=Address(city="重庆市", street="龙海大道671号锦绣家园10栋10-5"),
    id_document=IdDocument(type="111", no="500108196905244643"),
)
#: Where an amended order goes.
NEIGHBOUR = Party(name="赵青山", phone="13900001234", address=Address(street="民族路1号"))

#: What becomes of a delivery where a test does not say.
USUAL_NEXT = {
    OutcomeKind.TAKEN: Next.SETTLE,
    OutcomeKind.REFUSED: Next.BURY,
    OutcomeKind.NOT_SENT: Next.RETRY,
    OutcomeKind.UNKNOWN: Next.RETRY,
    OutcomeKind.BUSY: Next.RETRY,
    OutcomeKind.AUTH: Next.RETRY,
    OutcomeKind.MISCONFIGURED: Next.RETRY,
}


class Bench:
    """A ledger under test, and what portals, backends and workers do to it."""

    PORTAL, POST = PORTAL, POST
    SENDER, RECIPIENT, NEIGHBOUR = SENDER, RECIPIENT, NEIGHBOUR

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "govpost.db"
        self.key_file = folder / "govpost.key"
        self.now = MORNING
        self.rendered: list[str] = []
        #: What the newest `settle` told.
        self.settled: Settled | None = None
        self._numbers = count(1)
        self._open: list[Ledger] = []
        self.ledger = self.open()

    def open(self, **options: Any) -> Ledger:
        """Open the file (again)."""
        ledger = Ledger(
            f"sqlite:///{self.file}",
            self.key_file,
            clock=lambda: self.now,
            **{"terms": TERMS, "backend_amends": frozenset({POST}), **options},
        )
        self._open.append(ledger)
        return ledger

    def reopen(self, **options: Any) -> Ledger:
        """Close the ledger and open it again, as a restart does."""
        self.ledger.close()
        self.ledger = self.open(**options)
        return self.ledger

    def close(self) -> None:
        """Close whatever is open."""
        for ledger in self._open:
            ledger.close()

    def pass_time(self, **duration: float) -> datetime:
        """Move the clock forward."""
        self.now += timedelta(**duration)
        return self.now

    # Portals.

    def content(self, ref: str = "R1", **changes: Any) -> OrderContent:
        """Say an order as a portal would."""
        facts = {
            "portal_ref": ref,
            "direction": Direction.TO_APPLICANT,
            "mode": Mode.DOORSTEP,
            "payer": Payer.GOVERNMENT,
            "sender": SENDER,
            "recipient": RECIPIENT,
            "items": (Item(name="营业执照"),),
            "matter": Matter(name="审批结果办理"),
        }
        return OrderContent.model_validate({**facts, **changes})

    def place(
        self,
        ref: str = "R1",
        *,
        nonce: str | None = None,
        ledger: Ledger | None = None,
        portal: str = PORTAL,
        **changes: Any,
    ) -> Any:
        """Place an order and return the answer."""
        content = self.content(ref, **changes)
        command = Place(content, content.model_dump(mode="json", exclude_none=True))
        return (ledger or self.ledger).execute(portal, command, backend=POST, nonce=nonce).result()

    def order(self, ref: str = "R1", **changes: Any) -> str:
        """Place an order and return its number."""
        order_id: str = self.place(ref, **changes).order_id
        return order_id

    def numbered_order(self, ref: str = "R1", waybill_no: str = "EA000000014CN", **changes: Any) -> str:
        """Place an order, have the backend take it, and tell the portal the number."""
        order_id = self.order(ref, **changes)
        self.settle(self.claim_one(POST), waybill_no=waybill_no)
        self.settle(self.claim_one(PORTAL))
        return order_id

    def cancel(self, ref: str = "R1", *, command_id: str = "cancel") -> Any:
        """Cancel an order as its portal does."""
        return self.ledger.execute(PORTAL, Cancel(ref, command_id=command_id), backend=POST).result()

    def amend(self, ref: str = "R1", *, recipient: Party = NEIGHBOUR, command_id: str = "A1") -> Any:
        """Send an order to somebody else."""
        return self.ledger.execute(PORTAL, Amend(ref, recipient, command_id), backend=POST).result()

    # Backends.

    def event(self, status: Status | str | None, **facts: Any) -> Event:
        """Say what happened; now, under a fresh number, where the test does not say otherwise."""
        number = f"E{next(self._numbers)}"
        return Event.model_validate({"event_id": number, "status": status, "occurred_at": self.now, **facts})

    def record(self, order_id: str, status: Status | str | None, *, source: str | None = None, **facts: Any) -> Any:
        """Record an event a minute after whatever was before, and return what became of it."""
        self.pass_time(minutes=1)
        return self.ledger.record(order_id, self.event(status, **facts), source=source).result()

    # Workers.

    def render(self, _name: str, owed: Owed | OwedRefusal) -> Document:
        """Make a body that shows what was known when it was rendered."""
        self.rendered.append(owed.delivery_id)
        if isinstance(owed, OwedRefusal):
            return Document("refuse", owed.reason.encode(), owed.delivery_id)
        told = owed.update and {"status": owed.update.status, "waybill_no": owed.update.waybill_no}
        facts = {"id": owed.delivery_id, "to": owed.order.recipient.name, "told": told, "nth": len(self.rendered)}
        return Document(owed.kind.value, json.dumps(facts, ensure_ascii=False).encode(), owed.delivery_id)

    def claim(self, destination: str, *, most: int = 100, worker_id: str = "w1") -> tuple[Claim, ...]:
        """Lease what is due."""
        claims = self.ledger.claim(destination, worker_id=worker_id, most=most, render=self.render).result()
        return claims.claims

    def claim_one(self, destination: str, *, worker_id: str = "w1") -> Claim:
        """Lease the one delivery that is due."""
        (claim,) = self.claim(destination, worker_id=worker_id)
        return claim

    def ended(
        self,
        claim: Claim,
        kind: OutcomeKind = OutcomeKind.TAKEN,
        *,
        then: Next | None = None,
        due_in_s: float = 0.0,
        dead_reason: DeadReason | None = None,
        is_breakage: bool = False,
        is_lockout: bool = False,
        is_answer: bool = True,
        **outcome: Any,
    ) -> Settlement:
        """Say how an attempt ended."""
        become = then or USUAL_NEXT[kind]
        return Settlement(
            claim=claim,
            outcome=Outcome(kind, **outcome),
            next=become,
            started_at=self.now,
            due_at=self.now + timedelta(seconds=due_in_s) if become is Next.RETRY else None,
            is_uncertain=kind is OutcomeKind.UNKNOWN,
            dead_reason=(dead_reason or DeadReason.REFUSED) if become is Next.BURY else None,
            is_breakage=is_breakage,
            is_lockout=is_lockout,
            is_answer=is_answer,
        )

    def settle_together(self, *settlements: Settlement, worker_id: str = "w1") -> int:
        """End what one request carried; returns how many outcomes counted."""
        self.settled = self.ledger.settle(
            settlements, worker_id=worker_id, pause_base_s=5, pause_cap_s=600, breakages_to_pause=10
        ).result()
        return self.settled.counted

    def settle(
        self, claim: Claim, kind: OutcomeKind = OutcomeKind.TAKEN, *, worker_id: str = "w1", **facts: Any
    ) -> bool:
        """End an attempt; tells whether that counted."""
        return self.settle_together(self.ended(claim, kind, **facts), worker_id=worker_id) == 1

    def tell_all(self, destination: str = PORTAL) -> list[str]:
        """Deliver everything that is due, and what falls due by that; tell what was said."""
        said = []
        while claims := self.claim(destination):
            for claim in claims:
                said.append(claim.owed.update.status.value if claim.owed.update else claim.owed.kind.value)
                self.settle(claim)
        return said

    # Readings.

    def status(self, order_id: str) -> Status:
        """Tell how an order stands."""
        return self.ledger.read_order(order_id).row.status

    def lane(self, order_id: str, destination: str = PORTAL) -> list[DeliveryRow]:
        """Read a lane, in its order."""
        return [row for row in self.ledger.read_deliveries(order_id) if row.destination == destination]

    def states(self, order_id: str, destination: str = PORTAL) -> list[tuple[str, str]]:
        """Tell what a lane holds: what is said, and where that stands."""
        return [(row.told_status or row.kind, row.state) for row in self.lane(order_id, destination)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a new ledger, with all that acts on it."""
    made = Bench(tmp_path)
    yield made
    made.close()
