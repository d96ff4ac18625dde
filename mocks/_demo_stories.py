"""What becomes of the forty orders of the demo, and whether it did: told by the post, heard by the portal."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import cycle
from typing import Any

from govpost.mocks.base import JsonObject
from govpost.mocks.postal import Mail, PostalMock
from govpost.mocks.yukuaiban import PortalOrder, Push, YukuaibanMock

__all__ = ["STORIES", "Story", "Tale", "load_samples", "load_tales"]

_SAMPLES = "data/yukuaiban_orders.json"
_ROUND_TRIP = "3"


@dataclass(frozen=True, slots=True)
class Story:
    """How an order goes, and how it ends."""

    #: Courses of the postal mock, one after the other; the next begins when the portal has heard all of the last.
    courses: tuple[str, ...]
    #: Leg → the states that the portal hears as traces after each course, in order (contract: yukuaiban).
    states: tuple[Mapping[int, str], ...]
    #: The status in which the order ends.
    ends: str


_ALL_THE_WAY = "30 40 50 60"
STORIES: dict[str, Story] = {
    "delivered": Story(("delivered",), ({1: _ALL_THE_WAY},), "delivered"),
    "undelivered, then delivered": Story(("second_try",), ({1: "30 40 50 70 50 60"},), "delivered"),
    "returned": Story(("returned",), ({1: "30 40 50 70 80 81"},), "returned"),
    "delivered with a signature": Story(("proven",), ({1: _ALL_THE_WAY},), "delivered"),
    # The portal cannot take a state back: the revoke comes as one more 50, then the second try follows.
    "delivery revoked, then made": Story(
        ("delivered", "revoked"), ({1: _ALL_THE_WAY}, {1: f"{_ALL_THE_WAY} 50 70 50 60"}), "delivered"
    ),
    "cancelled by the post": Story(("cancelled",), ({1: "90"},), "cancelled"),
    "lost": Story(("lost",), ({1: "30 40 99"},), "lost"),
    "there and back": Story(("round_trip",), ({1: _ALL_THE_WAY, 2: _ALL_THE_WAY},), "delivered"),
}


@dataclass(slots=True)
class Tale:
    """One sample order on its way through its story."""

    title: str
    order: JsonObject = field(repr=False)
    secret_opens_to: JsonObject = field(repr=False)
    #: How many courses of the story were played.
    chapter: int = 0
    #: Events that the post has not told yet.
    untold: list[JsonObject] = field(default_factory=list, repr=False)
    is_accepted: bool = False

    @property
    def order_no(self) -> str:
        """The portal's own number."""
        number: str = self.order["orderNo"]
        return number

    @property
    def story(self) -> Story:
        """How it should go."""
        return STORIES[self.title]

    def play(self, postal: PostalMock, portal: YukuaibanMock, mails: Mapping[str, Mail]) -> None:
        """Let the next course happen, once the order is placed and the portal has heard of the last."""
        mail = mails.get(self.order_no)
        if mail is None or self.chapter == len(self.story.courses):
            return
        if self.chapter == 0 or self._has_heard(portal, mail):
            self.untold += postal.play(mail.order_id, self.story.courses[self.chapter])
            self.chapter += 1

    def has_ended(self, postal: PostalMock, portal: YukuaibanMock, mails: Mapping[str, Mail]) -> bool:
        """Tell whether everything happened once, and the portal heard it once and in order."""
        mail = mails.get(self.order_no)
        return (
            mail is not None
            and self.is_accepted
            and not self.untold
            and self.chapter == len(self.story.courses)
            and postal.placements[mail.order_id] == 1
            and self._has_heard(portal, mail)
        )

    def _has_heard(self, portal: YukuaibanMock, mail: Mail) -> bool:
        heard = portal.orders.get(self.order_no, PortalOrder(self.order_no)).pushes
        waybills = [(push.leg, push.logistic_code) for push in heard if push.call == "pushlogisticode"]
        traces = {leg: _states(heard, leg) for leg in {push.leg for push in heard if push.call == "pushtrace"}}
        return sorted(waybills) == sorted(mail.waybill_nos.items()) and traces == self.story.states[self.chapter - 1]


def load_samples() -> list[dict[str, JsonObject]]:
    """Read the forty sample orders, each with what its `secret` opens to."""
    samples: list[dict[str, Any]] = json.loads(resources.files(__package__).joinpath(_SAMPLES).read_bytes())
    return samples


def load_tales() -> list[Tale]:
    """Give every sample order a story: round trips go there and back, the others take turns."""
    titles: Iterator[str] = cycle(title for title in STORIES if title != "there and back")
    return [
        Tale(
            "there and back" if sample["order"]["serviceType"] == _ROUND_TRIP else next(titles),
            sample["order"],
            sample["secret_opens_to"],
        )
        for sample in load_samples()
    ]


def _states(heard: list[Push], leg: int) -> str:
    return " ".join(push.state for push in heard if push.call == "pushtrace" and push.leg == leg)
