"""Evidence: kept sealed beside the ledger, once, and given to the portal that takes it."""

from typing import Any

import pytest

from govpost.gateway.ledger import Carriage
from govpost.schemas import Proof
from govpost.schemas.errors import LedgerUnavailableError

Bench = Any

PNG = b"\x89PNG\r\n\x1a\n a picture of somebody's signature"
PDF = b"%PDF-1.4 a receipt with somebody's name"


def proof(data: bytes = PNG, kind: str = "signature") -> dict[str, Any]:
    """Say evidence as an event holds it."""
    media_type = "image/png" if data.startswith(b"\x89PNG") else "application/pdf"
    return Proof.model_construct(kind=kind, media_type=media_type, data=data)


def files(bench: Bench) -> list[Any]:
    """List what is kept."""
    return sorted(path for path in bench.folder.glob("govpost.proofs/*/*") if path.is_file())


def told(bench: Bench, order_id: str, *proofs: Any, **facts: Any) -> Any:
    """Record a delivery with evidence."""
    event = bench.event("delivered", **facts).model_copy(update={"proof": proofs})
    return bench.ledger.record(order_id, event).result()


def test_evidence_is_sealed_and_kept_once(bench: Bench) -> None:
    """The same picture twice is one file, named by a keyed hash, and unreadable without the key."""
    first, second = bench.numbered_order("R1"), bench.numbered_order("R2", "EA000000028CN")
    told(bench, first, proof(), proof(PDF, "receipt"))
    told(bench, second, proof())
    kept = files(bench)
    assert len(kept) == 2
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0
        assert b"somebody" not in path.read_bytes()
    bench.ledger.close()
    assert all(b"somebody" not in path.read_bytes() for path in bench.folder.glob("govpost.db*"))


def test_the_event_names_its_evidence(bench: Bench) -> None:
    """Kind, type and size are in the ledger; the same event again is the same."""
    order_id = bench.numbered_order()
    bench.pass_time(minutes=1)
    event = bench.event("delivered").model_copy(update={"proof": (proof(),)})
    assert [bench.ledger.record(order_id, event).result().status for _ in range(2)] == [201, 200]
    other = event.model_copy(update={"proof": (proof(PDF),)})
    assert bench.ledger.record(order_id, other).result().status == 409
    (kept,) = bench.ledger.read_events(order_id)[-1].event.kept_proof
    assert (kept.kind, kept.media_type, kept.size) == ("signature", "image/png", len(PNG))
    assert bench.ledger.read_events(order_id)[-1].event.proof == ()


@pytest.mark.parametrize("takes_proof", [True, False])
def test_evidence_leaves_only_where_it_is_taken(bench: Bench, *, takes_proof: bool) -> None:
    """The portal's manifest says so."""
    bench.reopen(carriage={bench.PORTAL: Carriage(takes_proof=takes_proof)})
    order_id = bench.numbered_order()
    told(bench, order_id, proof(PDF))
    update = bench.claim_one(bench.PORTAL).owed.update
    assert [each.data for each in update.event.proof] == ([PDF] if takes_proof else [])


def test_evidence_that_is_gone_stops_its_own_lane(bench: Bench) -> None:
    """A person finds a dead letter; others go on, and after the file is restored it can be replayed."""
    bench.reopen(carriage={bench.PORTAL: Carriage(takes_proof=True)})
    first, second = bench.numbered_order("R1"), bench.numbered_order("R2", "EA000000028CN")
    told(bench, first, proof())
    told(bench, second)
    (path,) = files(bench)
    content = path.read_bytes()
    path.unlink()
    assert [claim.order_id for claim in bench.claim(bench.PORTAL)] == [second]
    (letter,) = bench.ledger.dead_letters()
    assert letter.reason == "unreadable"
    path.write_bytes(content)
    bench.ledger.replay(letter.delivery_id)
    assert bench.claim_one(bench.PORTAL).owed.update.event.proof[0].data == PNG


def test_evidence_that_cannot_be_written_is_told_again(bench: Bench) -> None:
    """Nothing is acknowledged that is not kept."""
    order_id = bench.numbered_order()
    (bench.folder / "govpost.proofs").write_text("in the way")
    with pytest.raises(LedgerUnavailableError, match="try again"):
        told(bench, order_id, proof())
    assert len(bench.ledger.read_events(order_id)) == 1
