"""Fill batches: heads of lanes and what follows them, as many as a request carries and a claim may lease."""

from govpost.gateway.ledger.claims import Batch, Carriage, Claim

__all__ = ["ALONE", "MOST_AT_ONCE", "Loading", "call_of"]

#: How many deliveries one claim may lease where they travel in batches: the writer serves nobody else meanwhile.
MOST_AT_ONCE = 200

#: How deliveries travel where nothing else is said.
ALONE = Carriage()


class Loading:
    """Batches while they are filled: at most so many, and not more deliveries than one claim may lease."""

    def __init__(self, carriage: Carriage, most: int) -> None:
        self._carriage = carriage
        self._most = most
        self._all: list[list[Claim]] = []
        #: Call → the batch that still has room.
        self._open: dict[str, list[Claim]] = {}
        #: Calls that something else came behind: where one lane goes on so, the next ones are not even asked.
        self._followed_by_others: set[str] = set()
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Say whether nothing more has room."""
        return self._count >= MOST_AT_ONCE or (len(self._all) >= self._most and not self._open)

    @property
    def batches(self) -> tuple[Batch, ...]:
        """What was loaded."""
        return tuple(map(tuple, self._all))

    def take(self, claim: Claim) -> bool:
        """Load the head of a lane; False where it has no room, or travels alone."""
        size = self._size(claim)
        batch = self._open.get(call_of(claim)) if size > 1 else None
        if batch is None:
            if len(self._all) >= self._most:
                return False
            batch = []
            self._all.append(batch)
        self._put(claim, batch, size)
        return size > 1

    def join(self, claim: Claim, call: str) -> bool:
        """Load one behind the head that was loaded last; False where it cannot share that head's request."""
        size = self._size(claim)
        if call_of(claim) != call:
            self._followed_by_others.add(call)
            return False
        if size == 1:
            return False
        self._put(claim, self._open[call], size)
        return True

    def room(self, head: Claim) -> int:
        """Tell how many may still join the batch of `head`."""
        call = call_of(head)
        batch = None if call in self._followed_by_others else self._open.get(call)
        return min(self._size(head) - len(batch), MOST_AT_ONCE - self._count) if batch else 0

    def _put(self, claim: Claim, batch: list[Claim], size: int) -> None:
        batch.append(claim)
        self._count += 1
        if len(batch) < size:
            self._open[call_of(claim)] = batch
        else:
            self._open.pop(call_of(claim), None)

    def _size(self, claim: Claim) -> int:
        is_asked_after = claim.is_uncertain and self._carriage.has_probe
        return 1 if is_asked_after else self._carriage.batches.get(call_of(claim), 1)


def call_of(claim: Claim) -> str:
    """Name the wire's call that a claim is for; "" where it cannot be said."""
    return claim.document.call if claim.document else ""
