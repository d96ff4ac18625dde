"""Spell an address out as EMS wants it: province, city, county, and what is below (contract: ems, 020003)."""

from datetime import date
from functools import cache

from govpost.schemas import Address
from govpost.schemas.divisions import DIVISIONS, Division, DivisionLevel, division, division_head, find_division
from govpost.schemas.errors import UnsupportedFeatureError

__all__ = ["spelled_out"]

#: Whose counties are named under the province, with no city between: the city is the province once more.
_MUNICIPALITIES = frozenset({"110000", "120000", "310000", "500000"})

#: Cities without counties (东莞, 中山, 嘉峪关, 儋州): the county is the city once more.
_WITHOUT_COUNTIES = frozenset({"441900", "442000", "620200", "460400"})


def spelled_out(address: Address, *, path: str) -> Address:
    """Fill in the names that a portal left out, and take them off the head of a whole address.

    What the portal named stays as it wrote it. Raises UnsupportedFeatureError, with a path below `path`, where a name
    can be had neither from the text nor from the code.
    """
    if address.province and address.city and address.county:
        return address
    head = division_head(address.street)
    place = _place(address, head)
    found = _names(place) if place else {}
    names = {level: getattr(address, level) or found.get(level) for level in ("province", "city", "county")}
    for level, name in names.items():
        if not name:
            raise UnsupportedFeatureError(f"{path}.{level}", "is not known, and this system requires it")
    return address.model_copy(update={**names, "street": _below(address.street, head, place)})


def _place(address: Address, head: str) -> Division | None:
    """Find the county: by the names given, by the text, by the code, whichever says it first.

    The text goes before the code: it is what a courier would read.
    """
    named = address.province and find_division(address.province, address.city or "", address.county or "")
    coded = address.division_code and division(address.division_code)
    candidates = (named, _by_full_name().get(head), _uncoded(head), coded)
    return next((place for place in candidates if place and _is_county(place)), None)


def _uncoded(head: str) -> Division | None:
    """Find what has no code yet, and so is in no index by codes: districts of municipalities (重庆市|两江新区)."""
    return find_division(head[:3], "", head[3:])


def _is_county(place: Division) -> bool:
    return _is_named(place) and (place.level is DivisionLevel.COUNTY or place.code in _WITHOUT_COUNTIES)


def _is_named(place: Division) -> bool:
    """Say whether the name is one that people write; 市辖区 and its like stand in no full name."""
    return place.full_name.endswith(place.name)


@cache
def _by_full_name() -> dict[str, Division]:
    """Index all divisions by their full names; what is in force goes before what was."""
    records = (record for code in DIVISIONS for record in DIVISIONS[code] if _is_named(record))
    return {record.full_name: record for record in sorted(records, key=lambda record: record.valid_to or date.max)}


def _names(place: Division) -> dict[str, str]:
    province, *city = (above.name for above in map(division, place.parents) if above)
    if not city:  # 仙桃市 and its like, too, stand directly under their province
        city = [province if place.parents[0] in _MUNICIPALITIES else place.name]
    return {"province": province, "city": city[0], "county": place.name}


def _below(street: str, head: str, place: Division | None) -> str:
    """Take off the head what the names say already; an address that is nothing else stays whole."""
    if place and (place.full_name.startswith(head) or place.full_name.endswith(head)):
        return street.removeprefix(head).strip() or street
    return street
