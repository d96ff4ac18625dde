"""Numbers that carry their own check, as types for model fields, and the masks under which people may see them.

Every ``check_…`` function returns the value in its canonical form or raises ValueError. The message names the
rule that was broken and never repeats the value: most of these numbers are personal data.
"""

import re
from collections.abc import Callable
from datetime import date
from operator import mul
from typing import Annotated

from pydantic import AfterValidator

from govpost.schemas.divisions import division_head

__all__ = [
    "CaseNo",
    "CitizenId",
    "DivisionCode",
    "Mobile",
    "OrderId",
    "Phone",
    "Uscc",
    "WaybillNo",
    "check_case_no",
    "check_citizen_id",
    "check_division_code",
    "check_mobile",
    "check_order_id",
    "check_phone",
    "check_uscc",
    "check_waybill_no",
    "domestic_number_is_plausible",
    "mask_address",
    "mask_id_no",
    "mask_name",
    "mask_phone",
    "mask_room",
]

_CITIZEN_ID = re.compile(r"[0-9]{17}[0-9X]")
_CITIZEN_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_ID_CHECKS = "10X98765432"
#: Nobody who holds a card was born earlier; no upper limit, since dates are never compared with the clock.
_EARLIEST_BIRTH_YEAR = 1850

#: GB 32100 leaves out I, O, S, V and Z.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}")

_S10 = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}")
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_DOMESTIC_NO = re.compile(r"[0-9]{13}")

#: Court codes begin with the province's short name; 兵 and 军 are the courts of 新疆生产建设兵团 and of the army.
_COURTS = "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川黔云藏陕甘青宁新兵军"
_CASE_NO = re.compile(
    r"(?:（(?P<wide>{year})）|\((?P<narrow>{year})\)|〔(?P<angular>{year})〕)"
    r"(?P<rest>(?:最高法|[{courts}](?:[0-9]{{2}}){{0,2}})"  # whose: 最高法, 渝 (高院), 渝01 (中院), 渝0113 (基层)
    r"[\u4e00-\u9fa5]{{1,5}}"  # 专门审判代字, where there is one, and the type; no pattern can tell where one ends
    r"[1-9][0-9]{{0,7}}号)".format(year="19[5-9][0-9]|20[0-9][0-9]", courts=_COURTS)
)

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_PHONE = re.compile(
    r"1[3-9][0-9]{9}"
    r"|(?:0[0-9]{2,3}-?)?[1-9][0-9]{6,7}(?:-[0-9]{1,6})?"  # landline, with or without area code and extension
    r"|[48]00-?[0-9]{3}-?[0-9]{4}"
    r"|95[0-9]{3,6}"
)
_DIVISION_CODE = re.compile(r"[1-9][0-9]{5}")

#: What a number may stand before in an address without telling whose door it is: 3弄, 5组, 318国道.
_OPEN_PLACE = "路街道巷弄里段村组社队屯条环线国省县乡"
#: What a house number follows. After anything else (锦绣家园5号) it may be a building or a door.
_STREET = "路街道巷弄里段坊村组社队屯庄镇乡条同沟湾线"
_NUMERAL = "一二三四五六七八九十百零〇"
_HOUSE_NO = re.compile(
    rf"(?<=[{_STREET}])[甲乙]?(?:\d+(?:[-－—之]\d+)*|[{_NUMERAL}]+)号(?![楼栋幢座单室房门{_OPEN_PLACE}])"
)
#: The first of these may be a building, a floor, a unit, a door, or a remark with a name in it.
_NOT_OPEN = re.compile(
    rf"\d+(?!\d|号?[{_OPEN_PLACE}])|[A-Za-z](?!\d+[{_OPEN_PLACE}])|[(（\[【]"
    rf"|[{_NUMERAL}甲乙丙丁东西南北中]*(?:号楼|栋|幢|单元)|[{_NUMERAL}]+[室层楼]"
)
#: Crockford's Base32 leaves out I, L, O and U; 128 bits in 26 characters leave 3 bits for the first.
_ORDER_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def _matching(pattern: re.Pattern[str], rule: str) -> Callable[[str], str]:
    """Build a check that has nothing to look at but the form; ``rule`` is what its error says."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(rule)
        return value

    return check


check_mobile = _matching(_MOBILE, "a mobile number is 1, then 3 to 9, then nine digits")
check_phone = _matching(_PHONE, "a phone number is a mobile, a landline (area code, extension) or a service number")
check_division_code = _matching(_DIVISION_CODE, "a division code is six digits, the first not 0")
check_order_id = _matching(_ORDER_ID, "an order id is a ULID: 26 upper-case characters of Crockford's Base32")


def check_citizen_id(value: str) -> str:
    """Check a citizen ID number (GB 11643-1999): form, birth date, check character (ISO 7064 MOD 11-2).

    A lower-case x at the end becomes X. The division code in front is not looked up: numbers outlive divisions.
    """
    number = value[:-1] + "X" if value.endswith("x") else value
    if not _CITIZEN_ID.fullmatch(number):
        raise ValueError("a citizen ID is 17 digits and a check character, 0 to 9 or X")
    if not _birth_date_is_possible(number[6:14]):
        raise ValueError("the birth date in the citizen ID is no date")
    total: int = sum(map(mul, _CITIZEN_ID_WEIGHTS, map(int, number[:17])))
    if _CITIZEN_ID_CHECKS[total % 11] != number[17]:
        raise ValueError("the check character of the citizen ID is wrong")
    return number


def _birth_date_is_possible(digits: str) -> bool:
    """Say whether yyyyMMdd is a date on which the holder of a card may have been born."""
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year >= _EARLIEST_BIRTH_YEAR
    except ValueError:
        return False


def check_uscc(value: str) -> str:
    """Check a unified social credit code (GB 32100-2015): alphabet, division digits, check character (MOD 31-3)."""
    if not _USCC.fullmatch(value):
        raise ValueError("a USCC is 18 digits and capitals without I, O, S, V, Z, its characters 3 to 8 digits")
    total = sum(_USCC_ALPHABET.index(char) * pow(3, index, 31) for index, char in enumerate(value[:17]))
    if _USCC_ALPHABET[-total % 31] != value[17]:
        raise ValueError("the check character of the USCC is wrong")
    return value


def check_waybill_no(value: str) -> str:
    """Check a mail number: UPU S10 with its check digit, or 13 digits (contract: ems).

    The check digit of a domestic number is inferred, not published, and so is never a reason to refuse:
    see `domestic_number_is_plausible`.
    """
    if _DOMESTIC_NO.fullmatch(value):
        return value
    if not _S10.fullmatch(value):
        raise ValueError("a mail number is two capitals, nine digits, two capitals (UPU S10), or 13 digits")
    if _s10_check_digit(value[2:10]) != int(value[10]):
        raise ValueError("the check digit of the mail number is wrong")
    return value


def domestic_number_is_plausible(value: str) -> bool:
    """Say whether position 11 of a 13-digit mail number checks positions 3 to 10; False is a warning, no refusal."""
    return bool(_DOMESTIC_NO.fullmatch(value)) and _s10_check_digit(value[2:10]) == int(value[10])


def _s10_check_digit(serial: str) -> int:
    """Compute the check digit of eight digits (UPU S10: 11 − sum mod 11, 10 → 0, 11 → 5)."""
    total: int = sum(map(mul, _S10_WEIGHTS, map(int, serial)))
    remainder = 11 - total % 11
    return {10: 0, 11: 5}.get(remainder, remainder)


def check_case_no(value: str) -> str:
    """Check a court's case number (案号, 法〔2015〕137号): year, court, type of case, serial number and 号.

    The brackets around the year may be full-width, ASCII or 〔〕; the canonical ones are full-width.
    """
    match = _CASE_NO.fullmatch(value)
    if match is None:
        raise ValueError("a case number is a year in brackets, a court's code, a type of case, a serial number and 号")
    year = match["wide"] or match["narrow"] or match["angular"]
    return f"（{year}）{match['rest']}"


CaseNo = Annotated[str, AfterValidator(check_case_no)]
CitizenId = Annotated[str, AfterValidator(check_citizen_id)]
Uscc = Annotated[str, AfterValidator(check_uscc)]
WaybillNo = Annotated[str, AfterValidator(check_waybill_no)]
Mobile = Annotated[str, AfterValidator(check_mobile)]
Phone = Annotated[str, AfterValidator(check_phone)]
DivisionCode = Annotated[str, AfterValidator(check_division_code)]
OrderId = Annotated[str, AfterValidator(check_order_id)]


def mask_name(name: str) -> str:
    """Keep the first character and hide the others; a name of one character is hidden whole (GB/T 41833)."""
    return name[:1] + "*" * (len(name) - 1) if len(name) > 1 else "*" * len(name)


def mask_phone(phone: str) -> str:
    """Hide at least six digits: keep the last two, and the first three where eleven or more leave enough hidden."""
    digits = [index for index, char in enumerate(phone) if char.isdigit()]
    kept = set(digits[:3] + digits[-2:]) if len(digits) >= 11 else set(digits[6:][-2:])
    return "".join("*" if char.isdigit() and index not in kept else char for index, char in enumerate(phone))


def mask_id_no(number: str) -> str:
    """Keep the first three and the last character of an ID number; hide one of fewer than eight whole."""
    return number[:3] + "*" * (len(number) - 4) + number[-1:] if len(number) >= 8 else "*" * len(number)


def mask_address(address: str) -> str:
    """Keep the province, city and county at the head of an address and hide the rest in a fixed width.

    Only names in the division table are kept; an address that begins with none of them is hidden whole.
    """
    return division_head(address) + "****"


def mask_room(address: str) -> str:
    """Keep an address down to its house number and hide building, unit and room in a fixed width (GB/T 41833).

    Where no house number is told from a building's or a door's, everything from the first number on is hidden.
    """
    house, hidden = _HOUSE_NO.search(address), _NOT_OPEN.search(address)
    end = hidden.start() if hidden else len(address)
    if house and house.start() <= end:
        end = house.end()
    return address if end == len(address) else address[:end].rstrip(" 附第#-") + "****"
