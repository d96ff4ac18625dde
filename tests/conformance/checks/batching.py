"""Several deliveries in one request."""

from collections.abc import Iterator, Sequence

from govpost.adapters.base import Document, Owed
from govpost.schemas import OutcomeKind, Presence
from govpost.tests.conformance.bench import Bench
from govpost.tests.conformance.checks.scopes import BATCHED
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.stories import Story, begin, stranger
from govpost.tests.conformance.subject import Finding, Subject

__all__ = ["batch_keeps_its_order", "lost_batch_is_cleared_up"]

#: At most so many in a batch, and the one of them that the far side knows nothing of.
_ORDERS = 4
_STRANGER = 1


@check(Level.GOLD, BATCHED)
def batch_keeps_its_order(subject: Subject) -> Iterator[str]:
    """In a batch of which one part is refused, every delivery gets its own outcome, in the order of the documents."""
    for call in sorted(subject.manifest.batches):
        bench = Bench(subject)
        batch = [owed for _, owed in _batch(bench, call)]
        batch[_STRANGER] = _same(stranger(bench), batch[_STRANGER])
        for documents in (_rendered(bench, batch), _rendered(bench, batch)[::-1]):
            outcomes = bench.send(*documents).outcomes(len(documents))
            kinds = [outcome.kind for outcome in outcomes]
            place = documents.index(bench.adapter.render(batch[_STRANGER]))
            expected = [OutcomeKind.TAKEN] * len(documents)
            expected[place] = OutcomeKind.REFUSED
            if kinds != expected:
                yield f"{call}: {', '.join(kinds)}, and only number {place + 1} was to be refused{bench.complaint()}"


@check(Level.GOLD, BATCHED, is_essential=True)
def lost_batch_is_cleared_up(subject: Subject) -> Iterator[str]:
    """A batch whose reply was lost is unknown as a whole; told again, everything in it is done exactly once."""
    for call in sorted(subject.manifest.batches):
        bench = Bench(subject)
        batch = _batch(bench, call)
        before = [story.effects() for story, _ in batch]
        bench.mock.plan.next("hang_after")
        documents = _rendered(bench, [owed for _, owed in batch])
        outcomes = bench.send(*documents).outcomes(len(documents))
        if {outcome.kind for outcome in outcomes} != {OutcomeKind.UNKNOWN}:
            yield f"{call}: the reply was lost, and not every outcome is unknown"
        if subject.manifest.has_probe:
            missing = [owed for _, owed in batch if bench.probe(owed).presence is not Presence.HAS]
            yield from (f"{call}: the probe does not find {owed.kind}" for owed in missing)
        else:
            bench.send(*documents)
        if [story.effects() for story, _ in batch] != [effects + 1 for effects in before]:
            yield f"{call}: not everything was done exactly once"


def _batch(bench: Bench, call: str) -> list[tuple[Story, Owed]]:
    """Bring some orders to where the call is what comes next."""
    size = min(_ORDERS, bench.subject.manifest.batches[call])
    return [_next_over(begin(bench, number), call) for number in range(size)]


def _next_over(story: Story, call: str) -> tuple[Story, Owed]:
    for owed in story.owe_all():
        if story.bench.adapter.render(owed).call == call:
            return story, owed
        story.tell(owed)
    raise Finding(f"batches names {call}, and nothing is told over it")


def _same(story: Story, owed: Owed) -> Owed:
    """Owe the same of another order."""
    return story.command(owed.kind) if owed.update is None else story.update(owed.update.status)


def _rendered(bench: Bench, batch: Sequence[Owed]) -> list[Document]:
    return [bench.adapter.render(owed) for owed in batch]
