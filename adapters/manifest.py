"""What an adapter says of itself: its `manifest.toml`, read once when the adapter is loaded."""

import tomllib
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from govpost.schemas._model import Model
from govpost.schemas.errors import ConfigurationError
from govpost.schemas.event import Status

__all__ = ["Manifest", "Role", "load_manifest"]


class Role(StrEnum):
    """What a system and we do for one another (design: Adapters are pure)."""

    #: It calls us.
    RECEIVES = "receives"
    #: We ask it for orders.
    POLLED = "polled"
    #: We tell it what happened.
    INFORMED = "informed"
    #: It takes orders from us.
    CARRIES = "carries"


class Manifest(Model):
    """The facts of one system that the engine acts upon."""

    key: str
    title: str
    wire_version: str
    roles: frozenset[Role]
    #: Names of settings that must never be shown.
    secrets: tuple[str, ...] = ()
    #: The far side does a thing once, however often it is told with the same identity.
    is_idempotent: bool = False
    #: It can be asked whether a delivery has arrived.
    has_probe: bool = False
    #: A backend that can change an order it has taken.
    amends: bool = False
    #: A backend that a placement reaches in several requests (the legs of a round trip, then who fetches the item):
    #: that it knows of one does not prove that it has the next.
    places_in_parts: bool = False
    #: Call (`Document.call`) → how many deliveries one request may carry, where that is more than one.
    batches: dict[str, Annotated[int, Field(ge=2)]] = Field(default_factory=dict)
    #: Requests a second that it takes, from all of us together; None: as many as it likes.
    rate_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    #: How large a request of its may be, where that is not as the settings say for all.
    max_body_bytes: Annotated[int, Field(gt=0)] | None = None
    #: Methods whose steps take milliseconds of CPU: they run off the event loop.
    cpu_heavy: frozenset[Literal["read", "answer", "send", "probe", "poll"]] = frozenset()
    #: The statuses that the portal is told as updates of their own; the rest it learns from our answers.
    tells: frozenset[Status] = frozenset()
    #: Of these, the ones that cannot be said before the leg has a waybill number.
    needs_waybill: frozenset[Status] = frozenset()
    #: Its updates are told from the order's whole history (`Owed.history`).
    needs_history: bool = False
    #: Evidence leaves with its updates.
    takes_proof: bool = False
    #: Whether a cancel that the portal itself asked for is told to it as well.
    tells_own_cancel: bool = False
    #: Checks of the conformance suite that do not apply, with the reason.
    exemptions: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_batches(self) -> Self:
        """Refuse batches where a doubtful delivery could neither be asked after nor be sent again."""
        if self.batches and not (self.has_probe or self.is_idempotent):
            raise ValueError("batches need has_probe or is_idempotent: what is in doubt may go out again in one")
        return self


def load_manifest(package: str) -> Manifest:
    """Read `manifest.toml` out of an adapter's package; raises ConfigurationError when it is not a manifest."""
    try:
        document = tomllib.loads(files(package).joinpath("manifest.toml").read_text(encoding="utf-8"))
        return Manifest.model_validate(document)
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationError(f"manifest.toml of {package} cannot be used: {error}") from error
