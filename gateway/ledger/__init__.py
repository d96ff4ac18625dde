"""The ledger: orders, events and the outbox in one durable store."""

from govpost.gateway.ledger._rows import PortalTerms
from govpost.gateway.ledger.claims import Batch, Carriage, Claim, Claims, DeadReason, Next, Settled, Settlement
from govpost.gateway.ledger.events import Recorded
from govpost.gateway.ledger.ledger import Ledger
from govpost.gateway.ledger.orders import Pending
from govpost.gateway.ledger.polls import Poll

__all__ = [
    "Batch",
    "Carriage",
    "Claim",
    "Claims",
    "DeadReason",
    "Ledger",
    "Next",
    "Pending",
    "Poll",
    "PortalTerms",
    "Recorded",
    "Settled",
    "Settlement",
]
