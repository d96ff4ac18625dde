"""The division table: codes and names, now and then."""

import subprocess
import sys
from datetime import date

import pytest

from govpost.schemas import divisions
from govpost.schemas.divisions import (
    DIVISIONS,
    DivisionLevel,
    division,
    division_head,
    find_division,
    full_name,
    successor,
)


def test_the_table_covers_the_country():
    """Every province is there, and about 2,850 counties in force."""
    newest = [DIVISIONS[code][0] for code in DIVISIONS]
    in_force = [record for record in newest if record.valid_to is None]
    assert sum(record.level is DivisionLevel.PROVINCE for record in in_force) == 34
    real = [record for record in in_force if record.full_name.endswith(record.name)]
    assert 2800 < sum(record.level is DivisionLevel.COUNTY for record in real) < 2900
    assert len(DIVISIONS) > 6500


def test_every_row_is_well_formed():
    """Codes are six digits, no name is empty, nothing ends before it begins, every successor exists."""
    for code, records in DIVISIONS.items():
        assert code.isascii()
        assert code.isdecimal()
        assert len(code) == 6
        for record in records:
            assert record.name
            assert (record.valid_from or date.min) <= (record.valid_to or date.max)
            assert record.successor is None or record.successor in DIVISIONS
            assert all(parent in DIVISIONS for parent in record.parents)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("500000", "重庆市"),
        ("500113", "重庆市巴南区"),
        ("500240", "重庆市石柱土家族自治县"),
        ("510504", "四川省泸州市龙马潭区"),
        ("429004", "湖北省仙桃市"),
        ("500382", "重庆市合川市"),
        ("110103", "北京市崇文区"),
        ("500100", "重庆市"),
        ("710000", "台湾省"),
    ],
)
def test_a_code_is_spelled_out_from_the_province_down(code, name):
    """Full names leave pseudo levels out; abolished codes keep their names."""
    assert full_name(code) == name


@pytest.mark.parametrize("code", ["000000", "990101", "", "50011", "重庆", "\0"])
def test_an_unknown_code_is_none(code):
    """No look-up by code ever raises."""
    assert division(code) is None
    assert full_name(code) is None
    assert successor(code) is None


def test_a_code_means_what_it_meant_on_the_day():
    """500110 was 万盛区 until 2011 and is 綦江区 since; in 2011 the new name goes first."""
    named = {year: getattr(division("500110", date(year, 6, 1)), "name", None) for year in (1990, 2005, 2011, 2020)}
    assert named == {1990: None, 2005: "万盛区", 2011: "綦江区", 2020: "綦江区"}


@pytest.mark.parametrize("code", ["500105", "500112"])
def test_the_districts_merged_into_liangjiang_end_in_november_2025(code):
    """江北区 and 渝北区 hold until 2025-11; their successor has no code yet."""
    assert division(code).valid_to == date(2025, 11, 30)
    assert division(code, date(2025, 10, 31)).code == code
    assert division(code, date(2025, 12, 1)) is None
    assert (successor(code).code, successor(code).full_name) == (None, "重庆市两江新区")


def test_liangjiang_is_found_by_name_without_a_made_up_code():
    """A look-up by name gives the record without a code, from 2025-11 on."""
    found = find_division("重庆市", "重庆市", "两江新区")
    assert (found.code, found.valid_from) == (None, date(2025, 11, 1))
    assert find_division("重庆市", "重庆市", "两江新区", on=date(2025, 10, 31)) is None


@pytest.mark.parametrize(
    ("code", "followed_by"),
    [("500382", "500117"), ("500222", "500110"), ("330121", "330109"), ("110103", "110101"), ("500113", None)],
)
def test_an_abolished_code_leads_to_todays(code, followed_by):
    """Chains are followed to their end (萧山县 → 萧山市 → 萧山区); what is in force has no successor."""
    found = successor(code)
    assert (found and found.code) == followed_by


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("重庆市", "重庆市", "巴南区"), "500113"),
        (("重庆", "市辖区", "巴南"), "500113"),
        (("重庆", "", "巴南区"), "500113"),
        (("重庆市", "县", "石柱县"), "500240"),
        (("重庆市", "重庆市", "江北区"), "500105"),
        (("重庆市", "重庆市", ""), "500000"),
        ((" 四川 省", "泸州", "龙马潭"), "510504"),
        (("四川省", "广安市", "广安区"), "511602"),
        (("江西", "吉安", "吉安县"), "360821"),
        (("吉林省", "吉林市", ""), "220200"),
        (("吉林", "吉林", "船营"), "220204"),
        (("河北省", "唐山市", "市辖区"), "130200"),
        (("湖北省", "仙桃市", "仙桃市"), "429004"),
        (("湖北省", "仙桃市", ""), "429004"),
        (("河南省", "省直辖县级行政区划", "济源市"), "419001"),
        (("广东省", "东莞市", "东莞市"), "441900"),
        (("内蒙古", "呼伦贝尔", "鄂伦春旗"), "150723"),
        (("上海市", "上海市", "浦东"), "310115"),
        (("浙江省", "杭州市", "下城区"), "330103"),
        (("重庆市", "重庆市", "没有区"), None),
        (("四川省", "没有市", "龙马潭区"), None),
        (("没有省", "", ""), None),
        (("", "", ""), None),
        (("\0", "\0", "\0"), None),
    ],
)
def test_names_lead_to_a_code(names, code):
    """Municipalities, pseudo levels, missing endings and abolished names are understood; the unknown is None."""
    found = find_division(*names)
    assert (found and found.code) == code


def test_every_county_in_force_is_found_by_its_own_names():
    """Names and codes agree, all over the country."""
    newest = [DIVISIONS[code][0] for code in DIVISIONS]
    counties = [record for record in newest if record.valid_to is None and record.level is DivisionLevel.COUNTY]
    for county in (record for record in counties if record.full_name.endswith(record.name)):
        above = [division(code).name for code in county.parents]
        assert find_division(above[0], above[1] if len(above) > 1 else above[0], county.name) == county


@pytest.mark.parametrize(
    ("address", "head"),
    [
        ("重庆市巴南区龙海大道1号", "重庆市巴南区"),
        ("重庆市重庆路1号", "重庆市"),
        ("巴南区龙海大道1号", "巴南区"),
        ("龙海大道1号", ""),
        ("", ""),
    ],
)
def test_the_head_of_an_address_is_what_names_a_division(address, head):
    """Only names in the table count as a head."""
    assert division_head(address) == head


def test_no_name_is_longer_than_the_head_that_is_looked_for():
    """The limit of `division_head` covers the whole table."""
    assert max(len(record.full_name) for records in DIVISIONS.values() for record in records) < 48


def test_import_reads_nothing():
    """The table is opened at the first look-up, not at import."""
    script = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))\n"
        "from govpost.schemas import divisions\n"
        "before = any(path.endswith('divisions.tsv') for path in opened)\n"
        "divisions.division('500113')\n"
        "print(before, any(path.endswith('divisions.tsv') for path in opened))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_what_is_exported_exists():
    """`__all__` names things the module has."""
    assert all(hasattr(divisions, name) for name in divisions.__all__)
