"""What becomes of an order in the demo, and what its portal has to hear of it (contracts: How an order lives)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from govpost.mocks.base import CarrierMock, PortalMock, Story
from govpost.schemas import Status

__all__ = ["Course", "Tale", "hear"]

#: Leg → everything told of it, oldest first; None takes back what was told before.
Course = Mapping[int, Sequence[Status | None]]


@dataclass(slots=True, eq=False)
class Tale:
    """An order on its way through its story."""

    portal: PortalMock
    portal_ref: str
    carrier: CarrierMock
    order_id: str
    title: str
    #: How many courses of the story were played.
    chapter: int = 0

    @property
    def story(self) -> Story:
        """How it should go."""
        return self.carrier.stories[self.title]

    def go_on(self, heard: Course) -> Sequence[Any]:
        """Let the next course happen, once the portal has heard of all before; returns what there is to tell."""
        if self.chapter == len(self.story.courses) or heard != self.due():
            return ()
        self.chapter += 1
        return self.carrier.play(self.order_id, self.story.courses[self.chapter - 1])

    def has_ended(self, heard: Course) -> bool:
        """Tell whether everything happened, and the portal heard it once and in order."""
        return self.chapter == len(self.story.courses) and heard == self.due()

    def due(self) -> Course:
        """Work out what the portal has to hear of all that happened so far.

        A portal without a word for taking back hears where the leg stands again instead.
        """
        takes_back = None in self.portal.statuses.values()
        happened = self.carrier.happened(self.order_id)
        course = {
            leg: _told([status for at, status in happened if at == leg], takes_back=takes_back)
            for leg in range(1, self.story.legs + 1)
        }
        if self.portal.is_polled:
            course[1].insert(0, Status.ACCEPTED)
        return course


def _told(happened: Iterable[Status | None], *, takes_back: bool) -> list[Status | None]:
    told: list[Status | None] = [Status.NUMBERED]
    stands = [Status.NUMBERED]
    for status in happened:
        if status is None:
            stands.pop()
            told.append(None if takes_back else stands[-1])
        else:
            stands.append(status)
            told.append(status)
    return told


def hear(portals: Iterable[PortalMock]) -> Mapping[tuple[str, str], Course]:
    """Sort what portals were told by portal and portal_ref, in our words; what is no status (a receipt) is left out."""
    heard: dict[tuple[str, str], dict[int, list[Status | None]]] = {}
    for portal in portals:
        for each in portal.heard():
            if each.status in portal.statuses:
                course = heard.setdefault((portal.key, each.portal_ref), {})
                course.setdefault(each.leg, []).append(portal.statuses[each.status])
    return heard
