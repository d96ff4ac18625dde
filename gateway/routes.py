"""Choose the backend that takes an order: the first of `[[routes]]` that matches, a portal's own `backend` last."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from govpost.gateway.settings import PortalSection, Route
from govpost.schemas import Direction, OrderContent
from govpost.schemas.divisions import division

__all__ = ["Routes"]


class Routes:
    """The routes of one gateway. Whoever builds it makes sure that every portal is covered."""

    def __init__(self, routes: Sequence[Route], portals: Mapping[str, PortalSection]) -> None:
        own = (Route(portal=name, backend=section.backend) for name, section in portals.items() if section.backend)
        self._given = len(routes)
        self._portals = tuple(portals)
        #: Tried in this order.
        self.table: tuple[Route, ...] = (*routes, *own)

    def backend_for(self, portal: str, order: OrderContent) -> str:
        """Name the backend that carries an order of a portal."""
        return next(route.backend for route in self.table if _matches(route, portal, order))

    def is_covered(self, portal: str) -> bool:
        """Say whether every order of a portal finds a backend."""
        end = len(self.table)
        return end not in self._takers(Route(backend="", portal=portal), before=end)

    def warnings(self) -> Iterator[str]:
        """Say what matches nothing."""
        for number, route in enumerate(self.table):
            place = self._place(number)
            if route.district is not None and division(route.district) is None:
                yield f"{place} district: no division has this code, so it matches nothing; check it"
            takers = self._takers(route, before=number)
            if takers and number not in takers:
                places = ", ".join(self._place(taker) for taker in sorted(takers))
                yield f"{place}: matches nothing, all goes to {places}; move it up or remove it"

    def _takers(self, route: Route, *, before: int) -> set[int]:
        """Tell which rows before this one take what a route asks for; `before` itself stands for what they leave over.

        Several may take it together: one for each portal, one for each direction.
        """
        portals = self._portals if route.portal is None else (route.portal,)
        directions = Direction if route.direction is None else (route.direction,)
        parts = (
            route.model_copy(update={"portal": portal, "direction": direction})
            for portal, direction in product(portals, directions)
        )
        return {next((row for row in range(before) if _covers(self.table[row], part)), before) for part in parts}

    def _place(self, number: int) -> str:
        route = self.table[number]
        return f"[[routes]] no. {number + 1}" if number < self._given else f"[portals.{route.portal}] backend"


def _matches(route: Route, portal: str, order: OrderContent) -> bool:
    return (
        route.portal in {None, portal}
        and route.direction in {None, order.direction}
        and _is_within(order.matter.code, route.project, _project_head)
        and _is_within(order.matter.division_code or order.sender.address.division_code, route.district, _district_head)
    )


def _covers(wide: Route, narrow: Route) -> bool:
    return (
        wide.portal in {None, narrow.portal}
        and wide.direction in {None, narrow.direction}
        and _is_within(narrow.project, wide.project, _project_head)
        and _is_within(narrow.district, wide.district, _district_head)
    )


#: How what belongs to an area begins, and whether more may follow.
_Head = tuple[str, bool]


def _is_within(value: str | None, area: str | None, head_of: Callable[[str], _Head]) -> bool:
    if area is None or value is None:
        return area is None
    head, is_open = head_of(area)
    return value.startswith(head) if is_open else value == head


def _project_head(project: str) -> _Head:
    """Read a matter code, or the beginning of some where it ends in a star."""
    return project.removesuffix("*"), project.endswith("*")


def _district_head(district: str) -> _Head:
    """Read a division code (GB/T 2260): one of a province or city stands for all that lies in it."""
    head = district.removesuffix("00")
    return head.removesuffix("00") if head != district else head, True
