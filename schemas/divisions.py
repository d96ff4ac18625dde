"""Administrative divisions of China (GB/T 2260), county level and above, with the time each was in force.

The table is `data/divisions.tsv` (sources in the README beside it), read at the first look-up. Nothing here is an
error: an unknown code or name is None, since portals and citizen IDs hold codes that no list has.
"""

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources

__all__ = [
    "DIVISIONS",
    "Division",
    "DivisionLevel",
    "division",
    "division_head",
    "find_division",
    "full_name",
    "successor",
]

#: Names that stand for a level, not for a place; a full name leaves them out and a look-up by name ignores them.
_PSEUDO = re.compile(r"市辖区|市区|市|县|(?:省|自治区)直辖县级行政(?:单位|区划)|省直辖行政单位|^$")

#: Peoples named in the middle of an autonomous division, left out in everyday use (石柱县 for 石柱土家族自治县).
_PEOPLES = (
    "蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|拉祜|水|东乡|纳西|景颇|柯尔克孜|土"
    "|达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|塔吉克|怒|鄂温克|保安|裕固|独龙|鄂伦春|各"
)
_AUTONOMOUS = re.compile(rf"(.{{2,}}?)(?:(?:{_PEOPLES})族?)*自治[区州县旗]")
#: No full name is longer (the longest has 25 characters; a test holds the limit).
_LONGEST_HEAD = 48
_SUFFIXED = re.compile(r"(.{2,}?)(?:特别行政区|地区|新区|林区|[省市区县盟旗州])")


class DivisionLevel(StrEnum):
    """How high a division stands."""

    PROVINCE = "province"
    PREFECTURE = "prefecture"
    COUNTY = "county"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One name of one code, and how long it held.

    Years are known exactly, days rarely: `valid_from` is the first and `valid_to` the last day on which it can
    have been in force, so that in the year of a change both the old and the new one are valid.
    """

    #: None where a division exists and its code is not published yet.
    code: str | None
    name: str
    level: DivisionLevel
    #: Codes of the divisions above, highest first; levels that only stand in the numbering are left out.
    parents: tuple[str, ...]
    full_name: str
    #: None: since before the records begin (1980).
    valid_from: date | None
    #: None: in force.
    valid_to: date | None
    #: Code under which the place went on, where known.
    successor: str | None = None

    def is_valid_on(self, day: date) -> bool:
        """Say whether the division can have been in force on that day."""
        return (self.valid_from or date.min) <= day <= (self.valid_to or date.max)


#: 江北区 (500105) and 渝北区 (500112) were merged into it; its code is not public yet, so it is not in the table.
_LIANGJIANG = Division(
    code=None,
    name="两江新区",
    level=DivisionLevel.COUNTY,
    parents=("500000",),
    full_name="重庆市两江新区",
    valid_from=date(2025, 11, 1),
    valid_to=None,
)
_MERGED_INTO_UNCODED = {"500105": _LIANGJIANG, "500112": _LIANGJIANG}
_UNCODED = (_LIANGJIANG,)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table as it stands there; most lines are never looked at."""

    code: str
    name: str
    valid_from: str
    valid_to: str
    successor: str

    def division(self) -> Division:
        above = tuple(row for row in map(self._parent_row, _codes_above(self.code)) if row)
        return Division(
            code=self.code,
            name=self.name,
            level=_level(self.code),
            parents=tuple(row.code for row in above),
            full_name="".join(row.name for row in (*above, self) if not _PSEUDO.fullmatch(row.name)),
            valid_from=_first_day(self.valid_from) if self.valid_from else None,
            valid_to=_last_day(self.valid_to) if self.valid_to else None,
            successor=self.successor or None,
        )

    def _parent_row(self, code: str) -> "_Row | None":
        """Find the name that a division above had meanwhile: the newest that began before this one ended."""
        rows = [row for row in _table().get(code, ()) if not _PSEUDO.fullmatch(row.name)]
        began = (row for row in rows if not self.valid_to or row.valid_from <= self.valid_to)
        return next(began, rows[-1] if rows else None)


class _Divisions(Mapping[str, tuple[Division, ...]]):
    """All records by code, those of one code newest first; the table is read at the first look."""

    def __getitem__(self, code: str) -> tuple[Division, ...]:
        return _records(code)

    def __iter__(self) -> Iterator[str]:
        return iter(_table())

    def __len__(self) -> int:
        return len(_table())


DIVISIONS: Mapping[str, tuple[Division, ...]] = _Divisions()


def division(code: str, on: date | None = None) -> Division | None:
    """Look a code up: what it stands for on that day, or last stood for; None when unknown."""
    return _first(DIVISIONS.get(code, ()), on)


def full_name(code: str, on: date | None = None) -> str | None:
    """Spell a code out from the province down, as in 重庆市巴南区; None when unknown."""
    found = division(code, on)
    return found.full_name if found else None


def successor(code: str) -> Division | None:
    """Follow an abolished code to the division the place belongs to today; None when in force, or not known."""
    found = division(code)
    seen = set()
    while found and found.successor and found.code not in seen:
        seen.add(found.code)
        found = division(found.successor)
    if found and found.code in _MERGED_INTO_UNCODED:
        return _MERGED_INTO_UNCODED[found.code]
    return found if found and found.code != code else None


@lru_cache(maxsize=4096)
def find_division(province: str, city: str = "", county: str = "", *, on: date | None = None) -> Division | None:
    """Look a division up by names; what is in force goes before what was, an exact name before a shortened one.

    Endings such as 省, 市, 区 and 县 may be missing; a city that repeats the province or is a pseudo level (市辖区, 县)
    counts as not given, and a county-level city directly under its province may stand as the city. None when unknown.
    """
    found = _best(_provinces(), province, on)
    if found is None or found.code is None:
        return None
    counties = _counties(found.code[:2])
    cities = _matching(_prefectures(found.code[:2]), city, on)
    if cities:
        prefixes = tuple((record.code or "")[:4] for record in cities)
        counties = tuple(record for record in counties if (record.code or "").startswith(prefixes))
        found = cities[0]
    elif not _means_nothing(city, within=province):  # 仙桃市, 济源市: counties with no prefecture above them
        return _best(counties, city, on) if _means_nothing(county, within=city) else None
    return _best(counties, county, on) or (found if _means_nothing(county, within=city) else None)


def division_head(address: str) -> str:
    """Cut the longest head that names a division from an address (重庆市巴南区 of 重庆市巴南区…); empty for none."""
    heads = _heads()
    longest = min(_LONGEST_HEAD, len(address))
    return next((address[:end] for end in range(longest, 0, -1) if address[:end] in heads), "")


@cache
def _table() -> dict[str, tuple[_Row, ...]]:
    """Read the table: the rows of a code, newest first."""
    text = resources.files(__package__).joinpath("data", "divisions.tsv").read_text("utf-8")
    table: dict[str, tuple[_Row, ...]] = {}
    for line in text.splitlines()[1:]:
        row = _Row(*line.split("\t"))
        table[row.code] = (row, *table.get(row.code, ()))
    return table


@cache
def _records(code: str) -> tuple[Division, ...]:
    """Build the records of a known code; KeyError for another, which `cache` does not keep."""
    return tuple(row.division() for row in _table()[code])


@cache
def _provinces() -> tuple[Division, ...]:
    return tuple(record for code in DIVISIONS if code.endswith("0000") for record in DIVISIONS[code])


@cache
def _prefectures(prefix: str) -> tuple[Division, ...]:
    return tuple(record for record in _under(prefix) if record.level is DivisionLevel.PREFECTURE)


@cache
def _counties(prefix: str) -> tuple[Division, ...]:
    uncoded = tuple(record for record in _UNCODED if record.parents[-1].startswith(prefix))
    return uncoded + tuple(record for record in _under(prefix) if record.level is DivisionLevel.COUNTY)


def _under(prefix: str) -> Iterator[Division]:
    codes = (code for code in DIVISIONS if code.startswith(prefix))
    return (record for code in codes for record in DIVISIONS[code] if not _PSEUDO.fullmatch(record.name))


@cache
def _heads() -> frozenset[str]:
    """List every way an address may begin with a division: from the province down, or from any level below."""
    records = (*_UNCODED, *(record for code in DIVISIONS for record in DIVISIONS[code]))
    return frozenset(
        record.full_name.removeprefix(above)
        for record in records
        if not _PSEUDO.fullmatch(record.name)
        for above in ("", *(parent.full_name for code in record.parents for parent in DIVISIONS[code]))
    )


def _best(records: tuple[Division, ...], name: str, on: date | None) -> Division | None:
    return next(iter(_matching(records, name, on)), None)


def _matching(records: tuple[Division, ...], name: str, on: date | None) -> list[Division]:
    """Pick the records of that name, best first; an exact name leaves no room for shortened ones."""
    wanted = "".join(name.split())
    valid = [record for record in records if on is None or record.is_valid_on(on)]
    found = [record for record in valid if record.name == wanted]
    found = found or [record for record in valid if _stem(record.name) == _stem(wanted)]
    return sorted(found, key=_newest_first, reverse=True)


def _first(records: tuple[Division, ...], on: date | None) -> Division | None:
    return next((record for record in records if on is None or record.is_valid_on(on)), None)


def _newest_first(record: Division) -> tuple[date, date]:
    return record.valid_to or date.max, record.valid_from or date.min


def _means_nothing(name: str, *, within: str = "") -> bool:
    """Say whether a name is empty, a pseudo level, or repeats the level above."""
    return bool(_PSEUDO.fullmatch(name.strip())) or (bool(within.strip()) and _stem(name) == _stem(within))


@lru_cache(maxsize=16384)
def _stem(name: str) -> str:
    """Shorten a name by its ending (巴南区 → 巴南, 广西壮族自治区 → 广西); two characters at least are left."""
    bare = "".join(name.split())
    ending = _AUTONOMOUS.fullmatch(bare) or _SUFFIXED.fullmatch(bare)
    return ending.group(1) if ending else bare


def _codes_above(code: str) -> tuple[str, ...]:
    return tuple(above for above in (f"{code[:2]}0000", f"{code[:4]}00") if above < code)


def _level(code: str) -> DivisionLevel:
    if code.endswith("0000"):
        return DivisionLevel.PROVINCE
    return DivisionLevel.PREFECTURE if code.endswith("00") else DivisionLevel.COUNTY


def _first_day(period: str) -> date:
    """Take the first day of a year or month (2010, 2025-11)."""
    year, _, month = period.partition("-")
    return date(int(year), int(month or 1), 1)


def _last_day(period: str) -> date:
    """Take the last day of a year or month."""
    year, _, month = period.partition("-")
    return date(int(year), int(month or 12), calendar.monthrange(int(year), int(month or 12))[1])
