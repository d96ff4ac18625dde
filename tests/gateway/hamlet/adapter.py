"""The adapter of a hamlet: notes in which thread each of its steps runs."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from govpost.adapters.base import AdapterSettings, Document, Inbound, Owed, OwedRefusal, Page
from govpost.adapters.manifest import Manifest
from govpost.schemas import (
    Conversation,
    Denied,
    Headers,
    Outcome,
    OutcomeKind,
    Presence,
    Problem,
    Result,
    Source,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError

__all__ = ["Hamlet"]

# Nobody listens on port 1.
_REQUEST = WireRequest("POST", "http://127.0.0.1:1/")


class HamletSettings(AdapterSettings):
    """What `[portals.hamlet]` holds."""

    addresses: ClassVar[tuple[str, ...]] = ()

    #: As in the manifest.
    cpu_heavy: frozenset[str] = frozenset()


class Hamlet:
    """A portal and a backend that say nothing of interest."""

    Settings: ClassVar[type[AdapterSettings]] = HamletSettings
    poll_every_s = 60.0

    def __init__(self, settings: HamletSettings, manifest: Manifest) -> None:
        self.manifest = manifest.model_copy(update={"cpu_heavy": settings.cpu_heavy})
        #: Method → the threads that its steps ran in.
        self.threads: dict[str, set[int]] = defaultdict(set)
        #: Set when a step of this method begins; of a conversation also when it ends.
        self.began, self.ended = (defaultdict[str, threading.Event](threading.Event) for _ in range(2))

    def _step(self, method: str) -> None:
        self.threads[method].add(threading.get_ident())
        self.began[method].set()

    def _converse(self, method: str) -> Conversation[Outcome]:
        self._step(method)
        try:
            yield _REQUEST
        except BreakageError as error:
            self._step(method)
            self.ended[method].set()
            return error.outcome
        return Outcome(OutcomeKind.TAKEN)

    def read(self, request: WireRequest, at: datetime) -> Inbound:  # noqa: ARG002 - the role's signature, as below
        """Deny whatever comes."""
        self._step("read")
        return Inbound(Denied(Problem.INVALID, "nobody is at home"))

    def answer(self, inbound: Inbound, result: Result) -> WireReply:  # noqa: ARG002
        """Say nothing."""
        self._step("answer")
        return WireReply(200, Headers({}), b"")

    def poll(self, cursor: str, source: Source) -> Conversation[Page | Outcome]:  # noqa: ARG002
        """Ask for orders."""
        return (yield from self._converse("poll"))

    def refuse(self, owed: OwedRefusal) -> Document:
        """Give an order back."""
        return Document("refuse", b"", owed.delivery_id)

    def render(self, owed: Owed) -> Document:
        """Make an empty body."""
        return Document(owed.kind.value, b"", owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:  # noqa: ARG002
        """Tell all."""
        outcome = yield from self._converse("send")
        return [outcome] * len(documents)

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002
        """Ask nothing."""
        yield from ()
        return Presence.CANNOT_TELL
