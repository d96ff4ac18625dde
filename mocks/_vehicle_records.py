"""Synthetic records of 车管 便民通, whole and broken ones."""

from collections.abc import Iterator
from itertools import count, cycle
from random import Random

from govpost.mocks._synthetic import citizen_id, party
from govpost.mocks.base import JsonObject

__all__ = ["broken_records", "new_record", "new_records"]

#: What the contract's samples are of.
_OFFICE = "500113000400"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
#: ywlx → what is in the letter.
_CONTENTS = {
    "JSZ": "驾驶证",
    "XSZ": "行驶证、检验标志",
    "HP": "号牌、行驶证",
    "DJZS": "机动车登记证书",
}
_LICENCE = "JSZ"


def new_record(n: int, seed: int = 0) -> JsonObject:
    """Make the n-th synthetic record of a seed."""
    dice = Random(f"{seed}/{n}")
    person, division = party(dice)
    kind = dice.choice(list(_CONTENTS))
    plates = {"hpzl": "", "hphm": ""} if kind == _LICENCE else _plates(dice)
    return {
        "lsh": f"2{seed % 10**4:04d}{n:08d}",
        "ywlx": kind,
        "kqzz": dice.choice("01"),
        "sfzmmc": "A",
        "sfzmhm": citizen_id(dice, division=division),
        "xm": person["name"],
        "sjhm": person["mobile"],
        "yjdz": f"{person['city']}{person['county']}{person['address']}",
        "xzqh": division,
        "yzbm": person["postcode"],
        "dabh": f"5001{dice.randrange(10**8):08d}",
        **plates,
        "clqd": _CONTENTS[kind],
        "ffr": dice.choice("12"),
        "fzjg": "渝A",
        "glbm": _OFFICE,
        "gxsj": f"2023-12-01 {dice.randint(8, 17):02d}:{dice.randint(0, 59):02d}:{dice.randint(0, 59):02d}",
    }


def new_records(number: int | None = None, *, seed: int = 0, start: int = 0) -> Iterator[JsonObject]:
    """Make `number` synthetic records from the start-th on; without end where `number` is None."""
    places = count(start) if number is None else range(start, start + number)
    return (new_record(n, seed) for n in places)


def broken_records() -> Iterator[JsonObject]:
    """Make records without end that must be refused, each in another way."""
    return ({**new_record(n), "lsh": f"3{n:012d}", **broken} for n, broken in enumerate(cycle(_BREAKAGES)))


def _plates(dice: Random) -> JsonObject:
    return {"hpzl": dice.choice(("01", "02")), "hphm": f"渝{dice.choice(_LETTERS)}{dice.randrange(10**5):05d}"}


_BREAKAGES: tuple[JsonObject, ...] = (
    {"ywlx": "HGZ"},
    {"xm": ""},
    {"sjhm": "1234"},
    {"yjdz": ""},
    {"ffr": "3"},
    # The check character is wrong.
    {"sfzmhm": "500103199001010000"},
)
