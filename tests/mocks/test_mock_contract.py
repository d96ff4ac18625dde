"""What breaks a contract file is named by path and rule, and no value is shown."""

from typing import Any

import pytest

from govpost.mocks._contract import Contract
from govpost.mocks.base import UnfitError
from govpost.schemas import Headers

CONTRACT = Contract("quanyu_tongban")
YES = {"SBLSH": "5020231201", "WLDH": "01HGJ0000000000000000000AA", "JSBZ": "1"}
HEADERS = {
    "X-Tif-Paasid": "cq_post_demo",
    "X-Tif-Timestamp": "1701389550",
    "X-Tif-Nonce": "cd" * 16,
    "X-Tif-Signature": "AB" * 32,
}


@pytest.mark.parametrize(
    ("members", "where", "reason"),
    [
        ({"WLDH": 1}, "body.items[0].WLDH", "is not of type string"),
        ({"JSBZ": "2"}, "body.items[0].JSBZ", "is none of ['1', '0']"),
        ({"JSBZ": "0"}, "body.items[0].JJYY", "is missing"),
        ({"JJYY": "王怡芳"}, "body.items[0].JJYY", "is not allowed here"),
        ({"XM": "王怡芳"}, "body.items[0].XM", "is not in the contract"),
    ],
)
def test_names_the_place(members: dict[str, Any], where: str, reason: str) -> None:
    """The member at fault is named where it stands, missing, forbidden and unknown ones too."""
    with pytest.raises(UnfitError) as caught:
        CONTRACT.check("Ack", {"items": [{**YES, **members}]}, code="47001")
    assert (caught.value.where, caught.value.reason, caught.value.code) == (where, reason, "47001")


def test_fits() -> None:
    """What fits passes; of the headers, whatever the case of their names."""
    CONTRACT.check("Ack", {"items": [YES]})
    CONTRACT.check_headers(Headers(HEADERS))


@pytest.mark.parametrize(("value", "reason"), [(None, "is missing"), ("x", "does not match ^[0-9]{10}$")])
def test_names_the_header(value: str | None, reason: str) -> None:
    """A header that is missing or unfit is named."""
    wanted = {**HEADERS, "X-Tif-Timestamp": value}
    with pytest.raises(UnfitError, match="header x-tif-timestamp") as caught:
        CONTRACT.check_headers(Headers({name: each for name, each in wanted.items() if each}), code="40001")
    assert (caught.value.reason, caught.value.code) == (reason, "40001")


def test_own_breakage_is_nobodys_fault() -> None:
    """A mock that would break the contract itself fails as a program does, and refuses nobody for it."""
    with pytest.raises(ValueError, match=r"own contract: AckAnswer\.data: is missing"):
        CONTRACT.check_own("AckAnswer", {"errcode": 0, "errmsg": "ok"})
    CONTRACT.check_own("Refusal", {"errcode": 47001, "errmsg": "unreadable"})


def test_unknown_schema() -> None:
    """A schema that the contract does not have is a mistake in the mock."""
    with pytest.raises(KeyError):
        CONTRACT.check("Nothing", {})
