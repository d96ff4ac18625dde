"""The law of court mail, case by case: what was told → verdict, date of service, who signed as what, which articles."""

from datetime import UTC, date, datetime, timedelta

import pytest

from govpost.adapters.court_waybill.law import Article, Capacity, Verdict, count_attempts, decide, explain
from govpost.schemas import Event, Order, PartyKind, Reason, ReceivedBy, Status

DAY = date(2023, 12, 4)
#: 09:00 in Chongqing on that day.
MORNING = datetime(2023, 12, 4, 1, tzinfo=UTC)

NAME, ID_NO = "陈浩", "500107195607189390"
ADULT, CHILD = "500108196905244643", "500104201408175278"
ORGANIZATION = "重庆山城贸易有限公司"

A = Article
SIGNED = (A.PROOF, A.DATE_OF_RECEIPT)
HIMSELF = (A.BY_RECIPIENT, *SIGNED)
FAMILY = (A.WHO_MAY_SIGN, A.BY_FAMILY, *SIGNED)
DESIGNATED = (A.WHO_MAY_SIGN, A.BY_DESIGNATED, *SIGNED)
LAWYER = (A.BY_LITIGATION_AGENT, *SIGNED)
AGENT = (A.BY_STATUTORY_AGENT, A.BY_LITIGATION_AGENT, *SIGNED)
OF_ORGANIZATION = (A.BY_ORGANIZATION, *SIGNED)
NOT_AMONG_THEM = (A.WHO_MAY_SIGN, A.SERVED)


def order(*, kind=PartyKind.PERSON, is_confirmed=True, has_document=True):
    """Build an order with a designated recipient and an opposing party."""
    name = ORGANIZATION if kind is PartyKind.ORGANIZATION else NAME
    recipient = {
        "name": name,
        "phone": "17038854214",
        "address": {"street": "渝南大道966号27栋", "is_confirmed": is_confirmed},
        "id_document": {"type": "111", "no": ID_NO} if has_document else None,
        "kind": kind,
    }
    return Order(
        portal_ref="FY0113-1",
        direction="to_applicant",
        mode="route",
        payer="government",
        sender={"name": "尤志诗", "phone": "15440107488", "address": {"street": "龙洲大道"}},
        recipient=recipient,
        items=({"name": "传票"},),
        matter={},
        may_sign=({"name": "尤曦然", "relation": "配偶"}, {"name": "阿依古丽·艾合买提"}),
        may_not_sign=({"name": "赵远宇"}, {"name": "Müller Hans"}),
        order_id="01HGGY4B5R0000000000000AB1",
        portal="court",
        accepted_at=MORNING,
    )


PERSON, FIRM = order(), order(kind=PartyKind.ORGANIZATION)


def event(status, *, days=0, hours=0.0, **facts):
    """Say what happened so much later."""
    at = MORNING + timedelta(days=days, hours=hours)
    return Event(event_id=f"{status}{days}:{hours}", status=status, occurred_at=at, **facts)


def handed(received_by=None, name=NAME, id_no=ADULT, relation=None, id_type=None):
    """Say that it was handed over."""
    signer = name and {"name": name, "id_no": id_no, "relation": relation, "id_type": id_type}
    return event(Status.DELIVERED, received_by=received_by, signer=signer or None)


def failed(days=0, reason=Reason.UNREACHABLE, **facts):
    """Say that an attempt failed."""
    return event(Status.UNDELIVERED, days=days, reason=reason, **facts)


def returned(days=6, **facts):
    """Say that it is back at the court."""
    return event(Status.RETURNED, days=days, **facts)


def signer(name):
    """Name somebody."""
    return {"signer": {"name": name}}


R = ReceivedBy

#: Who signs: to whom it goes, how it was handed over → as what that serves, and by which articles.
SERVED = {
    "himself": (PERSON, handed(R.SELF, id_no=ID_NO), Capacity.RECIPIENT, HIMSELF),
    "himself, his ID in small letters": (PERSON, handed(R.SELF, id_no=ID_NO.lower()), Capacity.RECIPIENT, HIMSELF),
    "himself, his name spaced out": (PERSON, handed(R.SELF, "陈 浩"), Capacity.RECIPIENT, HIMSELF),
    "by relation only": (PERSON, handed(relation="本人"), Capacity.RECIPIENT, HIMSELF),
    "by name only": (PERSON, handed(), Capacity.RECIPIENT, HIMSELF),
    "other, by his name": (PERSON, handed(R.OTHER), Capacity.RECIPIENT, HIMSELF),
    "family": (PERSON, handed(R.FAMILY, "陈明"), Capacity.FAMILY, FAMILY),
    "family, a guardian": (PERSON, handed(R.FAMILY, "陈明", relation="监护人"), Capacity.FAMILY, FAMILY),
    "designated, whatever the relation": (
        PERSON,
        handed(R.OTHER, "尤曦然", relation="同事"),
        Capacity.DESIGNATED,
        DESIGNATED,
    ),
    "family with a passport": (PERSON, handed(R.FAMILY, "陈明", "E12345678"), Capacity.FAMILY, FAMILY),
    "other, a wife": (PERSON, handed(R.OTHER, "王静", relation="配偶"), Capacity.FAMILY, FAMILY),
    "a wife, who else is not said": (PERSON, handed(None, "王静", relation=" 妻子 "), Capacity.FAMILY, FAMILY),
    "designated": (PERSON, handed(R.OTHER, "尤曦然"), Capacity.DESIGNATED, DESIGNATED),
    "designated, of the family": (PERSON, handed(R.FAMILY, "尤曦然"), Capacity.DESIGNATED, DESIGNATED),
    "designated, a colleague": (PERSON, handed(R.COLLEAGUE, "尤曦然"), Capacity.DESIGNATED, DESIGNATED),
    "designated, another dot in the name": (PERSON, handed(None, "阿依古丽•艾合买提"), Capacity.DESIGNATED, DESIGNATED),
    "designated by an organization": (FIRM, handed(R.OTHER, "尤曦然"), Capacity.DESIGNATED, DESIGNATED),
    "a guardian": (
        PERSON,
        handed(R.AGENT, "陈明", relation="法定代理人"),
        Capacity.STATUTORY_AGENT,
        (A.BY_STATUTORY_AGENT, *SIGNED),
    ),
    "a lawyer": (PERSON, handed(R.AGENT, "周律", relation="诉讼代理人"), Capacity.LITIGATION_AGENT, LAWYER),
    "an agent": (PERSON, handed(R.AGENT, "周律"), Capacity.AGENT, AGENT),
    "an organization's lawyer": (FIRM, handed(R.AGENT, "周律", relation="律师"), Capacity.LITIGATION_AGENT, LAWYER),
    "the head of an organization": (FIRM, handed(R.SELF, "吴总"), Capacity.LEGAL_REPRESENTATIVE, OF_ORGANIZATION),
    "its legal representative": (
        FIRM,
        handed(R.OTHER, "吴总", relation="法定代表人"),
        Capacity.LEGAL_REPRESENTATIVE,
        OF_ORGANIZATION,
    ),
    "its office": (FIRM, handed(R.OFFICE, "郑办"), Capacity.STAFF, OF_ORGANIZATION),
    "its mailroom": (FIRM, handed(R.MAILROOM, "孙收"), Capacity.STAFF, OF_ORGANIZATION),
    "its mailroom, by relation": (FIRM, handed(R.OTHER, "孙收", relation="收发室"), Capacity.STAFF, OF_ORGANIZATION),
}

#: What is no service, by which articles.
NOT_SERVED = {
    "a pickup point": (PERSON, handed(R.PICKUP_POINT), NOT_AMONG_THEM),
    "a pickup point, by the designated": (PERSON, handed(R.PICKUP_POINT, "尤曦然"), NOT_AMONG_THEM),
    "a pickup point, by relation": (PERSON, handed(R.OTHER, "丰巢", relation="快递柜"), NOT_AMONG_THEM),
    "a property office": (PERSON, handed(R.PROPERTY, "物业小李"), NOT_AMONG_THEM),
    "an organization's property office": (FIRM, handed(R.PROPERTY, "物业小李"), NOT_AMONG_THEM),
    "left at the door": (PERSON, handed(R.UNATTENDED, None), (A.LEAVING, A.SERVED)),
    "left, with a name": (PERSON, handed(R.UNATTENDED), (A.LEAVING, A.SERVED)),
    "the opposing party": (PERSON, handed(R.OTHER, "赵远宇"), (A.WHO_MAY_SIGN,)),
    "the opposing party, of the family": (PERSON, handed(R.FAMILY, "赵远宇"), (A.WHO_MAY_SIGN,)),
    "the opposing party, as an agent": (PERSON, handed(R.AGENT, "赵 远宇"), (A.WHO_MAY_SIGN,)),
    "the opposing party, capitals": (PERSON, handed(R.FAMILY, "MÜLLER HANS"), (A.WHO_MAY_SIGN,)),
    "the opposing party, full-width": (PERSON, handed(R.FAMILY, "Ｍüller　Hans"), (A.WHO_MAY_SIGN,)),
    "the opposing party in an office": (FIRM, handed(R.OFFICE, "赵远宇"), (A.WHO_MAY_SIGN,)),
    "a child": (PERSON, handed(R.FAMILY, "陈小", CHILD), (A.WHO_MAY_SIGN,)),
    "a colleague": (PERSON, handed(R.COLLEAGUE, "李同"), (A.SERVED,)),
    "a mailroom, for a person": (PERSON, handed(R.MAILROOM, "孙收"), NOT_AMONG_THEM),
    "an office, for a person": (PERSON, handed(R.OFFICE, "郑办"), NOT_AMONG_THEM),
    "somebody else": (PERSON, handed(R.OTHER, "路人"), NOT_AMONG_THEM),
    "a neighbour": (PERSON, handed(R.OTHER, "路人", relation="邻居"), NOT_AMONG_THEM),
    "the head of no organization": (PERSON, handed(R.OTHER, "吴总", relation="法定代表人"), NOT_AMONG_THEM),
    "an organization's family": (FIRM, handed(R.FAMILY, "陈明"), (A.SERVED,)),
    "an organization's colleague": (FIRM, handed(R.COLLEAGUE, "李同"), (A.SERVED,)),
    "an organization's guardian": (FIRM, handed(R.OTHER, "陈明", relation="监护人"), (A.SERVED,)),
}

#: What may be service and is not proven, by which articles.
UNPROVEN = {
    "himself, without ID": (PERSON, handed(R.SELF, id_no=None), (A.PROOF,)),
    "himself, nobody named": (PERSON, handed(R.SELF, None), (A.PROOF,)),
    "himself, by another name": (PERSON, handed(R.SELF, "陈明"), (A.PROOF,)),
    "himself, masked": (PERSON, handed(R.SELF, "陈*"), (A.PROOF,)),
    "family, without ID": (PERSON, handed(R.FAMILY, "陈明", None), (A.PROOF,)),
    "family, by a relation that may not": (PERSON, handed(R.FAMILY, "陈明", relation="同事"), (A.PROOF,)),
    "an office, by a relation that may not": (FIRM, handed(R.OFFICE, "郑办", relation="配偶"), (A.PROOF,)),
    "a mailroom, nobody named": (FIRM, handed(R.MAILROOM, None), (A.PROOF,)),
    "designated, without ID": (PERSON, handed(None, "尤曦然", None), (A.PROOF,)),
    "nothing said": (PERSON, handed(None, None), (A.PROOF, A.SERVED)),
    "a name that tells nothing": (PERSON, handed(None, "路人"), (A.PROOF, A.SERVED)),
}

REFUSAL = (A.PROOF, A.DATE_OF_RETURN)
THREE = (failed(0), failed(2), failed(5))
RETURNED_UNREACHED = (A.ATTEMPTS, A.DATE_OF_RETURN)
UNCONFIRMED = order(is_confirmed=False)

#: What came back: to whom, what happened → verdict, days from the first to that of service, reason, articles, doubt.
RETURNED = {
    "refused": (PERSON, (failed(0, Reason.REFUSED), returned(2)), Verdict.REFUSED, 2, Reason.REFUSED, REFUSAL, False),
    "refused, address not confirmed": (
        UNCONFIRMED,
        (failed(0, Reason.REFUSED), returned(2)),
        Verdict.REFUSED,
        2,
        Reason.REFUSED,
        REFUSAL,
        False,
    ),
    "refused, as the return says": (
        PERSON,
        (returned(2, reason=Reason.REFUSED),),
        Verdict.REFUSED,
        2,
        Reason.REFUSED,
        REFUSAL,
        False,
    ),
    "refused, vague afterwards": (
        PERSON,
        (failed(0, Reason.REFUSED), returned(2, reason=Reason.OTHER)),
        Verdict.REFUSED,
        2,
        Reason.REFUSED,
        REFUSAL,
        False,
    ),
    "refused by the designated": (
        PERSON,
        (failed(0, Reason.REFUSED, received_by=R.FAMILY, **signer("尤曦然")), returned(2)),
        Verdict.REFUSED,
        2,
        Reason.REFUSED,
        REFUSAL,
        False,
    ),
    "refused by an office": (
        FIRM,
        (failed(0, Reason.REFUSED, received_by=R.OFFICE), returned(2)),
        Verdict.REFUSED,
        2,
        Reason.REFUSED,
        REFUSAL,
        False,
    ),
    "refused by the family": (
        PERSON,
        (failed(0, Reason.REFUSED, received_by=R.FAMILY), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.OTHER,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "refused by the family, not confirmed": (
        UNCONFIRMED,
        (failed(0, Reason.REFUSED, received_by=R.FAMILY), returned(2)),
        Verdict.RETURNED,
        None,
        Reason.OTHER,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "refused, and not met later": (
        PERSON,
        (failed(0, Reason.REFUSED), *THREE[1:], failed(6), returned(7)),
        Verdict.RETURNED,
        7,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        False,
    ),
    "wrong address": (
        PERSON,
        (failed(0, Reason.BAD_ADDRESS), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.BAD_ADDRESS,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "wrong address, not confirmed": (
        UNCONFIRMED,
        (failed(0, Reason.BAD_ADDRESS), returned(2)),
        Verdict.RETURNED,
        None,
        Reason.BAD_ADDRESS,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "nobody of that name": (
        PERSON,
        (failed(0, Reason.UNKNOWN_PERSON), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.UNKNOWN_PERSON,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "moved": (
        PERSON,
        (failed(0, Reason.MOVED), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.MOVED,
        (A.DATE_OF_RETURN,),
        False,
    ),
    "three in five days": (
        PERSON,
        (*THREE, returned(6)),
        Verdict.RETURNED,
        6,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        False,
    ),
    "three in five days, not confirmed": (
        UNCONFIRMED,
        (*THREE, returned(6)),
        Verdict.RETURNED,
        None,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        False,
    ),
    "three in six days": (
        PERSON,
        (failed(0), failed(2), failed(6), returned(7)),
        Verdict.RETURNED,
        7,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        True,
    ),
    "two": (
        PERSON,
        (failed(0), failed(1), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        True,
    ),
    "three told of two": (
        PERSON,
        (failed(0), failed(0, hours=3), failed(1), returned(2)),
        Verdict.RETURNED,
        2,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        True,
    ),
    "the last three in five days": (
        PERSON,
        (failed(0), failed(9), failed(10), failed(11), returned(12)),
        Verdict.RETURNED,
        12,
        Reason.UNREACHABLE,
        RETURNED_UNREACHED,
        False,
    ),
    "no reason": (PERSON, (returned(2),), Verdict.RETURNED, 2, Reason.OTHER, RETURNED_UNREACHED, True),
}


@pytest.mark.parametrize(("to", "handover", "capacity", "articles"), SERVED.values(), ids=SERVED.keys())
def test_what_is_service(to, handover, capacity, articles):
    """A signature by somebody who may sign serves on the day of signing."""
    decision = decide(to, [event(Status.COLLECTED, hours=-20), handover])
    assert (decision.verdict, decision.served_on) == (Verdict.SERVED, DAY)
    assert (decision.capacity, decision.articles) == (capacity, articles)
    assert decision.grounds == (handover,)


@pytest.mark.parametrize(("to", "handover", "articles"), NOT_SERVED.values(), ids=NOT_SERVED.keys())
def test_what_is_no_service(to, handover, articles):
    """It is out of the post's hands, and nobody has been served."""
    decision = decide(to, [handover])
    assert (decision.verdict, decision.served_on, decision.capacity) == (Verdict.NOT_SERVED, None, None)
    assert decision.articles == articles
    assert decision.words.endswith("不是送达")


@pytest.mark.parametrize(("to", "handover", "articles"), UNPROVEN.values(), ids=UNPROVEN.keys())
def test_what_is_not_proven(to, handover, articles):
    """A receipt that lacks name or number, or contradicts itself, is none."""
    decision = decide(to, [handover])
    assert (decision.verdict, decision.served_on, decision.capacity) == (Verdict.UNPROVEN, None, None)
    assert decision.articles == articles


@pytest.mark.parametrize(
    ("to", "history", "verdict", "served_after", "reason", "articles", "is_doubtful"),
    RETURNED.values(),
    ids=RETURNED.keys(),
)
def test_what_came_back(to, history, verdict, served_after, reason, articles, is_doubtful):
    """A refusal, and a return from a confirmed address, serve on the day of return."""
    decision = decide(to, history)
    served_on = None if served_after is None else DAY + timedelta(days=served_after)
    assert (decision.verdict, decision.served_on) == (verdict, served_on)
    assert (decision.reason, decision.articles, bool(decision.doubts)) == (reason, articles, is_doubtful)
    assert decision.grounds[-1] is history[-1]


def test_the_table_is_no_smaller_than_was_asked():
    """Forty cases at least."""
    assert sum(map(len, (SERVED, NOT_SERVED, UNPROVEN, RETURNED))) >= 40


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        ((), Verdict.OPEN),
        ((event(Status.NUMBERED),), Verdict.OPEN),
        ((event(Status.OUT_FOR_DELIVERY),), Verdict.OPEN),
        (THREE, Verdict.OPEN),
        ((*THREE, event(Status.RETURNING, days=6)), Verdict.OPEN),
        ((failed(0, Reason.REFUSED), event(Status.RETURNING, days=1)), Verdict.OPEN),
        ((event(Status.CANCELLED),), Verdict.NOT_SERVED),
        ((event(Status.COLLECTED), event(Status.LOST, days=1)), Verdict.NOT_SERVED),
    ],
)
def test_nothing_is_decided_before_its_time(history, verdict):
    """A refusal and a third failure decide nothing until the item is back."""
    decision = decide(PERSON, history)
    assert (decision.verdict, decision.served_on, decision.capacity) == (verdict, None, None)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2023, 12, 4, 15, 59, 59, tzinfo=UTC), date(2023, 12, 4)),
        (datetime(2023, 12, 4, 16, tzinfo=UTC), date(2023, 12, 5)),
    ],
)
def test_a_day_is_a_day_in_china(at, day):
    """Midnight is Shanghai's."""
    assert decide(PERSON, [handed(R.SELF).model_copy(update={"occurred_at": at})]).served_on == day


@pytest.mark.parametrize(
    ("born", "verdict"),
    [("500108200512040016", Verdict.SERVED), ("500108200512050011", Verdict.NOT_SERVED)],
)
def test_the_family_comes_of_age_on_its_birthday(born, verdict):
    """Eighteen on the day of signing is adult, a day later is not."""
    assert decide(PERSON, [handed(R.FAMILY, "陈小", born)]).verdict is verdict


@pytest.mark.parametrize(
    ("to", "handover", "is_doubtful"),
    [
        (PERSON, handed(R.SELF, id_no=ID_NO), False),
        (PERSON, handed(R.SELF, id_no=ADULT), True),
        (PERSON, handed(R.SELF, id_no=ADULT, id_type="111"), True),
        (PERSON, handed(R.SELF, id_no="E12345678", id_type="414"), False),
        (order(has_document=False), handed(R.SELF, id_no=ADULT), False),
        (PERSON, handed(R.FAMILY, "陈明"), False),
    ],
)
def test_another_number_than_the_courts_is_doubtful(to, handover, is_doubtful):
    """Only the recipient's own, and only where both are of one kind."""
    decision = decide(to, [handover])
    assert (decision.verdict, bool(decision.doubts)) == (Verdict.SERVED, is_doubtful)


OUT = Status.OUT_FOR_DELIVERY


@pytest.mark.parametrize(
    ("history", "attempts"),
    [
        ((event(Status.COLLECTED), event(Status.IN_TRANSIT)), 0),
        ((event(OUT),), 1),
        ((event(OUT), event(OUT, hours=2)), 1),
        ((event(OUT), event(OUT, days=1)), 2),
        ((event(OUT), failed(0)), 1),
        ((event(OUT), event(Status.IN_TRANSIT), failed(0)), 1),
        ((event(OUT), failed(1)), 1),
        ((event(OUT), failed(0), event(OUT, hours=5), failed(0, hours=6)), 2),
        ((event(OUT), failed(0), event(OUT, days=1)), 2),
        ((failed(0), failed(0, hours=3)), 1),
        ((failed(0), event(Status.IN_TRANSIT), failed(0, hours=3)), 1),
        ((failed(0), failed(1)), 2),
        ((failed(0), handed(R.SELF)), 2),
        ((event(OUT), failed(0), event(OUT, days=1), failed(1), event(Status.RETURNING, days=2)), 2),
        ((handed(R.SELF),), 1),
    ],
)
def test_attempts_are_counted_as_they_were_made(history, attempts):
    """From setting out to what came of it; what is told twice of one day counts once."""
    assert count_attempts(history) == attempts


def test_a_decision_is_explained_in_words():
    """What came of it, when, by which articles, how often it was tried, and what is to be looked at."""
    assert explain(PERSON, [event(OUT), handed(R.FAMILY, "陈明")]) == [
        "已送达：由同住成年家属签收，签收之日为送达之日；送达日期 2023-12-04",
        f"依据法释〔2004〕13号第七条：{A.WHO_MAY_SIGN.says}",
        f"依据法释〔2004〕13号第九条第（六）项：{A.BY_FAMILY.says}",
        f"依据法释〔2004〕13号第八条：{A.PROOF.says}",
        f"依据民事诉讼法第九十一条：{A.DATE_OF_RECEIPT.says}",
        "已投递1次",
    ]
    assert explain(UNCONFIRMED, [failed(0), failed(1)]) == [
        "尚未送达：向所列地址（无送达地址确认书）投递第2次，五日内三次未满",
        f"依据法释〔2004〕13号第六条：{A.ATTEMPTS.says}",
        f"依据民事诉讼法第八十五条：{A.PERIODS.says}",
        "已投递2次",
    ]
    assert explain(PERSON, [failed(0), returned(1)])[-1] == "存疑：退回前在五日内投递不足三次"
    assert explain(PERSON, [])[0] == "尚未送达：尚未投递"


CASES = [(to, [handover]) for table in (SERVED, NOT_SERVED, UNPROVEN) for to, handover, *_ in table.values()]
CASES += [(to, list(history)) for to, history, *_ in RETURNED.values()]


@pytest.mark.parametrize(("to", "history"), CASES)
def test_no_explanation_names_anybody(to, history):
    """Neither name nor number of anybody stands in it, nor in the decision's repr; there is always an article."""
    said = f"{explain(to, history)} {decide(to, history)}"
    people = [NAME, ID_NO, ADULT, CHILD, ORGANIZATION, "尤曦然", "赵远宇", "陈明", "吴总"]
    assert [value for value in people if value in said] == []
    assert "依据" in said
