"""Numbers, people and places that look right and belong to nobody."""

from random import Random

__all__ = ["citizen_id", "mobile", "party", "s10_number", "uscc"]

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_S10_CHECKS = {10: 0, 11: 5}

_FAMILY_NAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗"
_GIVEN_NAMES = "怡芳杰建雨思远子嘉然文博欣悦宇轩浩明静涵"
_STREETS = ("解放西路", "龙海大道", "滨江路", "渝南大道", "红星路", "新华路", "人民路", "学府大道")
#: Name, division code (GB/T 2260), first digits of the postcode.
_COUNTIES = (
    ("渝中区", "500103", "4000"),
    ("大渡口区", "500104", "4000"),
    ("沙坪坝区", "500106", "4000"),
    ("南岸区", "500108", "4000"),
    ("巴南区", "500113", "4013"),
    ("丰都县", "500230", "4082"),
)


def s10_number(service: str, serial: int) -> str:
    """Build a mail number (UPU S10): two letters, eight digits, check digit, CN."""
    digits = f"{serial % 10**8:08d}"
    check = 11 - sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, digits, strict=True)) % 11
    return f"{service}{digits}{_S10_CHECKS.get(check, check)}CN"


def uscc(dice: Random, *, division: str = "500113") -> str:
    """Build a public body's unified social credit code (GB 32100)."""
    body = f"11{division}{dice.randrange(10**9):09d}"
    total = sum(_USCC_ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(body))
    return body + _USCC_ALPHABET[-total % 31]


def citizen_id(dice: Random, *, division: str) -> str:
    """Build a citizen ID number (GB 11643)."""
    born = f"{dice.randint(1950, 2005)}{dice.randint(1, 12):02d}{dice.randint(1, 28):02d}"
    body = f"{division}{born}{dice.randrange(1000):03d}"
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]


def mobile(dice: Random) -> str:
    """Build a mobile number."""
    return f"1{dice.randint(3, 9)}{dice.randrange(10**9):09d}"


def party(dice: Random) -> tuple[dict[str, str], str]:
    """Build a person with an address, in the words of 渝快办, and the division code of that address."""
    county, division, postcode = dice.choice(_COUNTIES)
    house, tower, floor, door = (dice.randint(1, most) for most in (999, 30, 30, 8))
    person = {
        "name": dice.choice(_FAMILY_NAMES) + "".join(dice.choices(_GIVEN_NAMES, k=dice.randint(1, 2))),
        "mobile": mobile(dice),
        "province": "重庆市",
        "city": "重庆市",
        "county": county,
        "address": f"{dice.choice(_STREETS)}{house}号{tower}栋{floor}-{door}",
        "postcode": f"{postcode}{dice.randint(0, 99):02d}",
    }
    return person, division
