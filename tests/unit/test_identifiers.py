"""Checked identifiers and masks, against published and contract vectors (examples.json, "vectors")."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from govpost.schemas import identifiers
from govpost.schemas.identifiers import (
    CitizenId,
    Uscc,
    WaybillNo,
    check_case_no,
    check_citizen_id,
    check_division_code,
    check_mobile,
    check_order_id,
    check_phone,
    check_uscc,
    check_waybill_no,
    domestic_number_is_plausible,
    mask_address,
    mask_id_no,
    mask_name,
    mask_phone,
    mask_room,
)

GOOD = {
    check_case_no: [
        "（2023）渝0113民初1234号",
        "（2023）渝01民终12号",  # a court of the second instance
        "（2023）渝民申1号",  # the high court
        "（2021）最高法知民终98号",  # the supreme court; 知 stands before the type
        "（2019）鄂72民初12345678号",  # a maritime court
        "（2016）兵0101执恢7号",
        "（2023）渝0113民诉前调1号",
        "（1999）黔0102行初9号",
    ],
    check_citizen_id: ["11010519491231002X", "500108196905244643", "510504196505219447", "500120200807214575"],
    check_uscc: ["12441500196720244T", "11511800015427357G", "115001137194835317", "11500113199260507Q"],
    check_waybill_no: ["RR123456785TR", "EB000000005CN", "RB123456785US", "EA969294768CN", "1100000000000"],
    check_mobile: ["13000000009", "19912345678"],
    check_phone: ["13000000009", "023-61234567", "02361234567", "0817-2123456", "61234567", "010-81234567-802",
                  "400-810-0999", "4008100999", "8008100999", "95598", "95588123"],
    check_division_code: ["500113", "110000", "999999"],
    check_order_id: ["01HGJ2W1N5X7Q9A3B5C7D9E1F3", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"],
}  # fmt: skip

BAD = {
    check_case_no: [
        "2023渝民初",
        "2023渝0113民初1234号",  # no brackets
        "（2023)渝0113民初1234号",  # of two kinds
        "【2023】渝0113民初1234号",
        "（23）渝0113民初1234号",
        "（2123）渝0113民初1234号",
        "（2023）0113民初1234号",  # no province
        "（2023）贵0113民初1234号",  # Guizhou is 黔
        "（2023）渝011民初1234号",
        "（2023）渝01131民初1234号",
        "（2023）渝01131234号",  # no type
        "（2023）渝0113民初执恢辖终1234号",
        "（2023）渝0113民初号",
        "（2023）渝0113民初0号",
        "（2023）渝0113民初01234号",
        "（2023）渝0113民初123456789号",
        "（2023）渝0113民初1234",
        "（2023）渝0113民初1234号之一",
        "（2023）渝0113 民初1234号",
    ],
    check_citizen_id: [
        "110105194912310021",  # check character
        "11010519490231002X",  # 31 February
        "11010519491331002X",  # month 13
        "11010500001231002X",  # year 0
        "11010517491231002X",  # before any card holder
        "110105491231002",  # the 15 digits of before 1999
        "1101051949123100X2",
        "1101051949123100２X",
    ],
    check_uscc: [
        "12441500196720244A",  # check character
        "1244150019672024I4",  # I is not in the alphabet
        "12441500196720244t",
        "1244150019672024",
        "12A41500196720244T",  # a letter in the division code
    ],
    check_waybill_no: [
        "RR123456784TR",  # check digit
        "rr123456785tr",
        "R1123456785TR",
        "RR123456785T",
        "123456789012",
        "12345678901234",
    ],
    check_mobile: ["12000000009", "1300000000", "130000000090", "+8613000000009"],
    check_phone: ["12000000009", "0123", "023--61234567", "023-01234567", "110a", "023-61234567-"],
    check_division_code: ["050113", "50011", "5001133", "50011X"],
    check_order_id: [
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",  # over 128 bits
        "01hgj2w1n5x7q9a3b5c7d9e1f3",
        "01HGJ2W1N5X7Q9A3B5C7D9E1FI",
        "01HGJ2W1N5X7Q9A3B5C7D9E1F",
    ],
}

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def pairs(table):
    """Give each value of a table its check, as test cases."""
    return [pytest.param(check, value, id=f"{name}-{n}") for check, name, values in rows(table) for n, value in values]


def rows(table):
    """Give each check of a table its name and its numbered values."""
    names = {getattr(identifiers, name): name for name in identifiers.__all__ if name.startswith("check_")}
    return [(check, names[check], list(enumerate(values))) for check, values in table.items()]


@pytest.mark.parametrize(("check", "value"), pairs(GOOD))
def test_a_right_number_comes_back_unchanged(check, value):
    """A number that keeps the rules is returned as it is."""
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), pairs(BAD))
def test_a_wrong_number_is_refused_without_being_repeated(check, value):
    """A number that breaks a rule is a ValueError whose text does not hold it."""
    with pytest.raises(ValueError, match=r".") as caught:
        check(value)
    assert type(caught.value) is ValueError
    assert value not in str(caught.value)


@pytest.mark.parametrize(("check", "value"), pairs({check: values[:1] for check, values in GOOD.items()}))
def test_what_only_looks_right_is_refused(check, value):
    """Nothing, white space, a NUL, a line end or full-width digits around a right number make it wrong."""
    for wrong in ("", f" {value}", f"{value} ", f"{value}\n", f"{value}\0", f"{value[:3]}\0{value[4:]}",
                  value.translate(FULL_WIDTH)):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            check(wrong)


def test_every_single_wrong_digit_of_a_citizen_id_is_found():
    """MOD 11-2 finds each change of one digit."""
    number = "500108196905244643"
    for index in range(17):
        changed = number[:index] + str((int(number[index]) + 1) % 10) + number[index + 1 :]
        with pytest.raises(ValueError, match="citizen ID"):
            check_citizen_id(changed)


@pytest.mark.parametrize("brackets", ["（）", "()", "〔〕"])
def test_a_case_number_comes_in_full_width_brackets(brackets):
    """However a court writes the brackets, the canonical form has one kind."""
    opening, closing = brackets
    assert check_case_no(f"{opening}2023{closing}渝0113民初1234号") == "（2023）渝0113民初1234号"


def test_a_lower_case_x_becomes_a_capital():
    """People type the last character of a citizen ID in either case."""
    assert check_citizen_id("11010519491231002x") == "11010519491231002X"


def test_the_division_in_a_citizen_id_need_not_exist():
    """Numbers outlive divisions, so only the check character judges the first six digits."""
    assert check_citizen_id("999999194912310025") == "999999194912310025"


@pytest.mark.parametrize(
    ("serial", "check_digit"),
    [
        ("12345678", 5),
        ("47312482", 9),
        ("00000000", 5),
        ("00000001", 4),
        ("00000100", 6),
        ("00300000", 0),
        ("96929476", 8),
    ],
)
def test_s10_check_digits(serial, check_digit):
    """Exactly one of ten check digits is right."""
    right = []
    for digit in range(10):
        try:
            right.append(check_waybill_no(f"EA{serial}{digit}CN"))
        except ValueError:
            continue
    assert right == [f"EA{serial}{check_digit}CN"]


def test_a_domestic_number_is_at_most_implausible():
    """The inferred check digit of a 13-digit number warns and never refuses."""
    assert domestic_number_is_plausible("1112345678500")
    assert not domestic_number_is_plausible("1112345678400")
    assert not domestic_number_is_plausible("RR123456785TR")
    assert check_waybill_no("1112345678400") == "1112345678400"


class Form(BaseModel):
    """A model of the kind that holds identifiers."""

    model_config = ConfigDict(hide_input_in_errors=True)

    citizen_id: CitizenId
    uscc: Uscc
    waybill_no: WaybillNo


def test_the_types_serve_as_model_fields():
    """A model normalizes a right value, and names the field of a wrong one without showing it."""
    form = Form(citizen_id="11010519491231002x", uscc="12441500196720244T", waybill_no="RR123456785TR")
    assert form.citizen_id == "11010519491231002X"
    with pytest.raises(ValidationError) as caught:
        Form(citizen_id="110105194912310021", uscc="12441500196720244T", waybill_no="RR123456785TR")
    assert [error["loc"] for error in caught.value.errors()] == [("citizen_id",)]
    assert "110105194912310021" not in str(caught.value)


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        (mask_name, "", ""),
        (mask_name, "李", "*"),
        (mask_name, "李雷", "李*"),
        (mask_name, "欧阳若䶮", "欧***"),
        (mask_phone, "13012345609", "130******09"),
        (mask_phone, "023-61234567", "023-******67"),
        (mask_phone, "61234567", "******67"),
        (mask_phone, "95598", "*****"),
        (mask_phone, "", ""),
        (mask_id_no, "11010519491231002X", "110**************X"),
        (mask_id_no, "E1234567", "E12****7"),
        (mask_id_no, "1234567", "*******"),
        (mask_address, "重庆市巴南区龙海大道671号锦绣家园10栋10-5", "重庆市巴南区****"),
        (mask_address, "四川省泸州市龙马潭区新市街749号", "四川省泸州市龙马潭区****"),
        (mask_address, "泸州市龙马潭区新市街749号", "泸州市龙马潭区****"),
        (mask_address, "重庆市两江新区金开大道1号", "重庆市两江新区****"),
        (mask_address, "解放路小区5栋", "****"),
        (mask_address, "", "****"),
        (mask_room, "重庆市大渡口区凤凰路867号锦绣家园28栋15-1", "重庆市大渡口区凤凰路867号****"),
        (mask_room, "解放西路895号15栋7-5", "解放西路895号****"),
        (mask_room, "重庆市巴南区龙洲大道", "重庆市巴南区龙洲大道"),
        (mask_room, "人民路12号", "人民路12号"),
        (mask_room, "人民路15-1号", "人民路15-1号"),
        (mask_room, "人民路１２号３栋", "人民路１２号****"),
        (mask_room, "人民路三号三单元", "人民路三号****"),
        (mask_room, "张家胡同甲12号院", "张家胡同甲12号****"),
        (mask_room, "人民路1号附3号", "人民路1号****"),
        (mask_room, "人民路1号（交张三收）", "人民路1号****"),
        (mask_room, "解放路二段3弄5号402室", "解放路二段3弄5号****"),
        (mask_room, "石龙镇大兴村3组45号", "石龙镇大兴村3组45号"),
        (mask_room, "石龙镇大兴村卫生室旁", "石龙镇大兴村卫生室旁"),
        (mask_room, "G318国道45号", "G318国道45号"),
        (mask_room, "三号路12号A座", "三号路12号****"),
        (mask_room, "锦绣家园28栋15-1", "锦绣家园****"),
        (mask_room, "锦绣家园5号", "锦绣家园****"),
        (mask_room, "锦绣家园28栋人民路5号", "锦绣家园****"),
        (mask_room, "锦绣家园东单元", "锦绣家园****"),
        (mask_room, "翡翠城二号楼", "翡翠城****"),
        (mask_room, "人民路12号楼3单元", "人民路****"),
        (mask_room, "购物中心B-1203", "购物中心****"),
        (mask_room, "三门峡市黄河路三楼", "三门峡市黄河路****"),
        (mask_room, "东门街（交张三收）", "东门街****"),
        (mask_room, "第3小学", "****"),
        (mask_room, "", ""),
    ],
)
def test_masks(mask, value, shown):
    """A mask shows what is needed to recognize a value, never the value."""
    assert mask(value) == shown


def test_what_is_exported_exists():
    """`__all__` names things the module has."""
    assert all(hasattr(identifiers, name) for name in identifiers.__all__)
