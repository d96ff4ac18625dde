"""Keep evidence beside the ledger: sealed, and named by what it holds, so that the same picture is kept once.

A file's name is a keyed hash of its content, which tells nothing to who has no key. A file is there, whole and on the
disk, before the event that names it is committed; one that no event came to name is no harm.
"""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from govpost.gateway.ledger.sealing import Sealer
from govpost.schemas import Event, KeptProof, Proof
from govpost.schemas.errors import KeyFileError, LedgerUnavailableError

__all__ = ["Proofs"]


class Proofs:
    """The evidence of one ledger, in a folder of its own. May be shared by threads and processes."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer

    def keep(self, event: Event) -> Event:
        """Put an event's evidence into files; the event names it from then on.

        Raises LedgerUnavailableError when it cannot be written.
        """
        if not event.proof:
            return event
        kept = tuple(self._keep(proof) for proof in event.proof)
        return event.model_copy(update={"proof": (), "kept_proof": kept})

    def load(self, event: Event) -> Event:
        """Give an event its evidence back; raises KeyFileError where a file is gone or does not open."""
        if not event.kept_proof:
            return event
        return event.model_copy(update={"proof": tuple(self._load(proof) for proof in event.kept_proof)})

    def _keep(self, proof: Proof) -> KeptProof:
        digest = self._sealer.digest(proof.data, domain="proof").hex()
        path = self._path(digest)
        if not path.exists():
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, self._sealer.seal(proof.data, row=_row(digest)))
            except OSError as error:
                raise LedgerUnavailableError(f"evidence cannot be written now ({error.strerror}); try again") from error
        return KeptProof(kind=proof.kind, media_type=proof.media_type, digest=digest, size=len(proof.data))

    def _load(self, kept: KeptProof) -> Proof:
        try:
            sealed = self._path(kept.digest).read_bytes()
        except OSError as error:
            raise KeyFileError(f"evidence is missing beside the ledger ({error.strerror}); restore it") from error
        data = self._sealer.open(sealed, row=_row(kept.digest))
        return Proof.model_construct(kind=kept.kind, media_type=kept.media_type, data=data)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: it has its name only once it is on the disk."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _row(digest: str) -> str:
    return f"proofs|{digest}"
