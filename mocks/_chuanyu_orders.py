"""Synthetic orders of 川渝通办: someone in one of the two, an authority in the other."""

from collections.abc import Iterator
from itertools import count
from random import Random

from govpost.mocks._synthetic import citizen_id, party, uscc
from govpost.mocks.base import JsonObject

__all__ = ["new_order", "new_orders"]

#: City and county, division code (GB/T 2260), first digits of the postcode.
_SICHUAN = (
    ("成都市锦江区", "510104", "6100"),
    ("泸州市龙马潭区", "510504", "6460"),
    ("南充市顺庆区", "511302", "6370"),
    ("宜宾市翠屏区", "511502", "6440"),
    ("广安市广安区", "511602", "6380"),
    ("达州市通川区", "511702", "6350"),
)
_MATTERS = (
    ("川渝户口迁移", "户口迁移证"),
    ("异地驾驶证换领", "驾驶证"),
    ("跨省公积金转移", "公积金转移函"),
    ("社保关系转移接续", "参保缴费凭证"),
)


def new_order(n: int, seed: int = 0) -> JsonObject:
    """Make the n-th synthetic order of a seed: `build_place(new_order(n))`."""
    dice = Random(f"{seed}/{n}")
    both = [_in_chongqing(dice), _in_sichuan(dice)]
    sender, recipient = dice.sample(both, 2)
    matter, document = dice.choice(_MATTERS)
    time = f"2023-12-01T{dice.randint(8, 17):02d}:{dice.randint(0, 59):02d}:{dice.randint(0, 59):02d}+08:00"
    return {
        "bizNo": f"CY{seed % 10**6:06d}{n:010d}",
        "matterCode": f"511A0080600053-512000000000-000-{uscc(dice, division=sender['region'])}-1-00",
        "matterName": matter,
        "acceptRegion": recipient["region"],
        "handleRegion": sender["region"],
        "direction": dice.choice(("RESULT", "MATERIAL", "ROUND")),
        "payer": dice.choice(("GOV", "APPLICANT", "COD")),
        "docs": [{"name": document, "count": dice.randint(1, 3), "original": dice.random() < 0.5}],
        "from": sender,
        "to": recipient,
        "appointment": {"begin": "2023-12-02T09:00:00+08:00", "end": "2023-12-02T11:00:00+08:00"},
        "submittedAt": time,
    }


def new_orders(number: int | None = None, *, seed: int = 0, start: int = 0) -> Iterator[JsonObject]:
    """Make `number` synthetic orders from the start-th on; without end where `number` is None."""
    places = count(start) if number is None else range(start, start + number)
    return (new_order(n, seed) for n in places)


def _in_chongqing(dice: Random) -> JsonObject:
    person, division = party(dice)
    return _party(dice, person, division, f"{person['city']}{person['county']}", person["postcode"])


def _in_sichuan(dice: Random) -> JsonObject:
    person, _ = party(dice)
    county, division, postcode = dice.choice(_SICHUAN)
    return _party(dice, person, division, f"四川省{county}", f"{postcode}{dice.randint(0, 99):02d}")


def _party(dice: Random, person: dict[str, str], division: str, place: str, postcode: str) -> JsonObject:
    return {
        "name": person["name"],
        "phone": person["mobile"],
        "idType": "111",
        "idNo": citizen_id(dice, division=division),
        "region": division,
        "address": f"{place}{person['address']}",
        "zip": postcode,
    }
