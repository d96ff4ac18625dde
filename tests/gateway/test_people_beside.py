"""People beside the parties (who may sign, who may not) are personal data wherever an order is shown."""

from datetime import UTC, datetime

from govpost.gateway.cli.output import masked, to_json
from govpost.gateway.ingress.views import build_order_detail
from govpost.gateway.ledger.reads import OrderRecord, OrderRow
from govpost.schemas import Order, Status

AT = datetime(2023, 12, 1, 1, tzinfo=UTC)
PARTY = {"name": "陶雨芳", "phone": "17134182391", "address": {"street": "解放西路710号"}}
ORDER = Order(
    portal_ref="R1",
    direction="to_applicant",
    mode="route",
    payer="government",
    sender=PARTY,
    recipient=PARTY,
    items=({"name": "传票"},),
    matter={"case_ref": "(2023)渝0113民初1号", "case_no": "(2023)渝0113民初1号"},
    may_sign=({"name": "尤曦然", "relation": "配偶", "phone": "17683237418"},),
    may_not_sign=({"name": "赵远宇"}, {"name": "欧阳若䶮"}),
    order_id="01HGGY4B5R0000000000000AB1",
    portal="city",
    accepted_at=AT,
)
PERSONAL = ("尤曦然", "17683237418", "赵远宇", "欧阳若䶮", "陶雨芳")


def test_the_api_masks_them():
    """Name and phone are masked, what somebody is to the recipient stays."""
    row = OrderRow(
        "01HGGY4B5R0000000000000AB1", "city", "R1", "post", Status.ACCEPTED, {1: Status.ACCEPTED}, {}, AT, AT
    )
    shown = build_order_detail(OrderRecord(row, ORDER), ()).model_dump(mode="json")
    assert shown["may_sign"] == [{"name": "尤**", "relation": "配偶", "phone": "176******18"}]
    assert [person["name"] for person in shown["may_not_sign"]] == ["赵**", "欧***"]
    assert [value for value in PERSONAL if value in str(shown)] == []


def test_commands_mask_them():
    """`orders show` hides them as it hides sender and recipient."""
    shown = masked(to_json(ORDER))
    assert shown["may_sign"] == [{"name": "尤**", "relation": "配偶", "phone": "176******18"}]
    assert [person["name"] for person in shown["may_not_sign"]] == ["赵**", "欧***"]
    assert [value for value in PERSONAL if value in str(shown)] == []


def test_no_repr_holds_them():
    """What is printed by chance shows nobody."""
    assert [value for value in PERSONAL if value in repr(ORDER)] == []


def test_a_case_number_is_kept_as_written_and_in_its_canonical_form():
    """The reference is the portal's text, the number is ours."""
    assert (ORDER.matter.case_ref, ORDER.matter.case_no) == ("(2023)渝0113民初1号", "（2023）渝0113民初1号")
