"""The law of service by court mail (法院专递): what of an item's events is service, by whose signature, and when.

Everything is decided from the order and what moved it. The words are Chinese and name nobody: they are read by the
court, in `govpost explain`, and by whoever must sort out what went wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, StrEnum
from typing import NamedTuple

from govpost.adapters.court_waybill.signers import (
    Who,
    find_relation,
    find_who,
    has_name_of,
    has_other_document,
    is_minor,
    is_recipient,
)
from govpost.adapters.protocols.shanghai import SHANGHAI
from govpost.schemas import Event, Order, PartyKind, Reason, Status

__all__ = ["Article", "Capacity", "Decision", "Verdict", "count_attempts", "decide", "explain"]

_RULES = "法释〔2004〕13号"  # 最高人民法院关于以法院专递方式邮寄送达民事诉讼文书的若干规定
_CODE = "民事诉讼法"  # as amended in 2021 and 2023, whose numbers these are


class Article(Enum):
    """The articles that decide, and what each says of the matter."""

    ATTEMPTS = _RULES, "第六条", "在确认的送达地址五日内投送三次以上未能送达的，说明理由退回法院"
    WHO_MAY_SIGN = _RULES, "第七条", "指定代收人、同住成年家属可以代收，同案对方当事人除外"
    PROOF = _RULES, "第八条", "签收人出示有效身份证件并填写号码，拒绝签收的记明情况后退回"
    SERVED = _RULES, "第九条", "由受送达人或者所列有权代收的人签收的，即为送达"
    BY_RECIPIENT = _RULES, "第九条第（一）项", "由受送达人本人签收的，即为送达"
    BY_STATUTORY_AGENT = _RULES, "第九条第（二）项", "由无或者限制民事行为能力人的法定代理人签收的，即为送达"
    BY_ORGANIZATION = _RULES, "第九条第（三）项", "由单位的法定代表人、负责人或者办公室、收发室、值班室签收的，即为送达"
    BY_LITIGATION_AGENT = _RULES, "第九条第（四）项", "由受送达人的诉讼代理人签收的，即为送达"
    BY_DESIGNATED = _RULES, "第九条第（五）项", "由受送达人指定的代收人签收的，即为送达"
    BY_FAMILY = _RULES, "第九条第（六）项", "由受送达人的同住成年家属签收的，即为送达"
    DATE_OF_RETURN = _RULES, "第十一条", "地址不准确、变更未告知或者受送达人拒绝签收的，文书退回之日视为送达之日"
    PERIODS = _CODE, "第八十五条", "期间开始的日不计算在期间内"
    LEAVING = _CODE, "第八十九条", "留置送达由人民法院实施，投递员不得留置"
    DATE_OF_RECEIPT = _CODE, "第九十一条", "邮寄送达以回执上注明的收件日期为送达日期"

    def __init__(self, law: str, number: str, says: str) -> None:
        self.law = law
        self.number = number
        self.says = says

    def __str__(self) -> str:
        return f"{self.law}{self.number}"


class Verdict(StrEnum):
    """What has come of the service."""

    #: It is under way.
    OPEN = "open"
    #: Somebody signed whose signature is service.
    SERVED = "served"
    #: Somebody seems to have signed who may, and what a receipt must say is missing or contradicts itself.
    UNPROVEN = "unproven"
    #: It is out of the post's hands, and that is no service.
    NOT_SERVED = "not_served"
    #: Refused, and returned: the date of return is the date of service.
    REFUSED = "refused"
    #: Returned for another reason.
    RETURNED = "returned"


class Capacity(StrEnum):
    """As what somebody signs whose signature is service, in the words of the law."""

    RECIPIENT = "本人"
    DESIGNATED = "指定代收人"
    FAMILY = "同住成年家属"
    STATUTORY_AGENT = "法定代理人"
    LITIGATION_AGENT = "诉讼代理人"
    AGENT = "代理人"
    LEGAL_REPRESENTATIVE = "法定代表人或负责人"
    STAFF = "办公室、收发室、值班室工作人员"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the law makes of an item's history."""

    verdict: Verdict
    #: Why, in words.
    words: str
    articles: tuple[Article, ...]
    #: Asia/Shanghai.
    served_on: date | None = None
    capacity: Capacity | None = None
    #: Why it was returned.
    reason: Reason | None = None
    #: The events that it rests on; what proves them proves it.
    grounds: tuple[Event, ...] = field(default=(), repr=False)
    #: What a person should look at though a receipt goes out.
    doubts: tuple[str, ...] = ()


def explain(order: Order, history: Sequence[Event]) -> list[str]:
    """Say the decision in lines: what came of the service and when, by which articles, and what is to be looked at."""
    decision, attempts = decide(order, history), count_attempts(history)
    on = f"；送达日期 {decision.served_on.isoformat()}" if decision.served_on else ""
    return [
        f"{_TITLES[decision.verdict]}：{decision.words}{on}",
        *(f"依据{article}：{article.says}" for article in decision.articles),
        *([f"已投递{attempts}次"] if attempts else []),
        *(f"存疑：{doubt}" for doubt in decision.doubts),
    ]


_TITLES: Mapping[Verdict, str] = {
    Verdict.OPEN: "尚未送达",
    Verdict.SERVED: "已送达",
    Verdict.UNPROVEN: "不能证明送达",
    Verdict.NOT_SERVED: "未送达",
    Verdict.REFUSED: "拒收视为送达",
    Verdict.RETURNED: "已退回",
}


def decide(order: Order, history: Sequence[Event]) -> Decision:
    """Decide from what moved the order and was not taken back, oldest first."""
    if not history:
        return _under_way(order, history)
    match history[-1].status:
        case Status.DELIVERED:
            return _delivered(order, history[-1])
        case Status.RETURNED:
            return _returned(order, history)
        case Status.CANCELLED | Status.LOST:
            return Decision(Verdict.NOT_SERVED, "邮件已取消或者丢失，未送达", ())
        case _:
            return _under_way(order, history)


# --- Attempts ---

#: So many attempts …
_ATTEMPTS = 3
#: … so many days after the first of them, which itself does not count.
_WITHIN_DAYS = 5


def count_attempts(history: Sequence[Event]) -> int:
    """Tell which attempt at delivery the last event belongs to, or how many came before it; 0 before the first."""
    return sum(1 for _ in _attempts(history))


def _attempts(history: Sequence[Event]) -> Iterator[date]:
    """Date each attempt: from the courier's setting out to what came of it.

    Setting out again on the same day is no new attempt, and a failure that follows one on the same day, without
    setting out again, is the same one told twice.
    """
    set_out: date | None = None
    failed: date | None = None
    for event in history:
        day = _day(event)
        if event.status is Status.OUT_FOR_DELIVERY:
            if set_out != day:
                yield day
            set_out = day
        elif event.status in _ENDS:
            is_retold = event.status is Status.UNDELIVERED and failed == day
            if set_out is None and not is_retold:
                yield day
            set_out, failed = None, day


_ENDS = frozenset({Status.UNDELIVERED, Status.DELIVERED})


def _are_enough(days: Sequence[date]) -> bool:
    """Say whether any three attempts lie within five days."""
    spans = (last - first for first, last in zip(days, days[_ATTEMPTS - 1 :], strict=False))
    return any(span.days <= _WITHIN_DAYS for span in spans)


def _under_way(order: Order, history: Sequence[Event]) -> Decision:
    attempts = list(_attempts(history))
    if not attempts:
        return Decision(Verdict.OPEN, "尚未投递", ())
    enough = "已满" if _are_enough(attempts) else "未满"
    where = "确认的送达地址" if order.recipient.address.is_confirmed else "所列地址（无送达地址确认书）"
    words = f"向{where}投递第{len(attempts)}次，五日内三次{enough}"
    return Decision(Verdict.OPEN, words, (Article.ATTEMPTS, Article.PERIODS))


# --- Signatures ---


#: Handed over there, it has reached nobody to whom it could be served, whoever signs.
_PLACES = frozenset({Who.PROPERTY, Who.PICKUP_POINT, Who.NOBODY})


class _Right(NamedTuple):
    """That somebody may sign, and by which articles."""

    capacity: Capacity
    articles: tuple[Article, ...]


_OF_BOTH = {
    Who.LITIGATION_AGENT: _Right(Capacity.LITIGATION_AGENT, (Article.BY_LITIGATION_AGENT,)),
    Who.AGENT: _Right(Capacity.AGENT, (Article.BY_STATUTORY_AGENT, Article.BY_LITIGATION_AGENT)),
}
#: Who may sign for whom.
_RIGHTS: Mapping[PartyKind, Mapping[Who, _Right]] = {
    PartyKind.PERSON: {
        Who.RECIPIENT: _Right(Capacity.RECIPIENT, (Article.BY_RECIPIENT,)),
        Who.FAMILY: _Right(Capacity.FAMILY, (Article.WHO_MAY_SIGN, Article.BY_FAMILY)),
        Who.STATUTORY_AGENT: _Right(Capacity.STATUTORY_AGENT, (Article.BY_STATUTORY_AGENT,)),
        **_OF_BOTH,
    },
    PartyKind.ORGANIZATION: {
        Who.RECIPIENT: _Right(Capacity.LEGAL_REPRESENTATIVE, (Article.BY_ORGANIZATION,)),
        Who.LEGAL_REPRESENTATIVE: _Right(Capacity.LEGAL_REPRESENTATIVE, (Article.BY_ORGANIZATION,)),
        Who.STAFF: _Right(Capacity.STAFF, (Article.BY_ORGANIZATION,)),
        **_OF_BOTH,
    },
}
_DESIGNATED = _Right(Capacity.DESIGNATED, (Article.WHO_MAY_SIGN, Article.BY_DESIGNATED))

_NO_SERVICE: Mapping[Who, tuple[str, tuple[Article, ...]]] = {
    Who.PROPERTY: ("交物业代收，物业无权代收，不是送达", (Article.WHO_MAY_SIGN, Article.SERVED)),
    Who.PICKUP_POINT: ("投至代收点，未交有权签收的人，不是送达", (Article.WHO_MAY_SIGN, Article.SERVED)),
    Who.NOBODY: ("放置门口等处，无人签收，不是送达", (Article.LEAVING, Article.SERVED)),
    Who.COLLEAGUE: ("由同事签收，同事无权代收，不是送达", (Article.SERVED,)),
}
_OTHERS_NO_SERVICE: Mapping[PartyKind, tuple[str, tuple[Article, ...]]] = {
    PartyKind.PERSON: ("由无权代收自然人文书的人签收，不是送达", (Article.WHO_MAY_SIGN, Article.SERVED)),
    PartyKind.ORGANIZATION: ("由无权代收单位文书的人签收，不是送达", (Article.SERVED,)),
}


def _delivered(order: Order, event: Event) -> Decision:
    """Decide whether a delivery is service."""
    who, kind = find_who(order, event), _kind(order)
    if has_name_of(order.may_not_sign, event):
        return _no_service(event, "由同案对方当事人签收，对方当事人不得代收，不是送达", (Article.WHO_MAY_SIGN,))
    right = _right(order, event, who)
    if right is None and who is Who.UNKNOWN:
        return _unproven(event, "未说明由谁签收，不能证明送达", (Article.PROOF, Article.SERVED))
    if right is None:
        return _no_service(event, *_NO_SERVICE.get(who, _OTHERS_NO_SERVICE[kind]))
    if right.capacity is Capacity.FAMILY and is_minor(event, on=_day(event)):
        return _no_service(event, "由未成年家属签收，代收的家属须已成年，不是送达", (Article.WHO_MAY_SIGN,))
    missing = _missing_proof(order, event, right)
    return _unproven(event, missing, (Article.PROOF,)) if missing else _signed(order, event, right)


_OTHER_DOCUMENT = "签收人的证件号码与法院所列受送达人的不同"


def _signed(order: Order, event: Event, right: _Right) -> Decision:
    is_self = right.capacity is Capacity.RECIPIENT
    return Decision(
        Verdict.SERVED,
        f"由{right.capacity}签收，签收之日为送达之日",
        (*right.articles, Article.PROOF, Article.DATE_OF_RECEIPT),
        served_on=_day(event),
        capacity=right.capacity,
        grounds=(event,),
        doubts=(_OTHER_DOCUMENT,) if is_self and has_other_document(order, event) else (),
    )


def _no_service(event: Event, words: str, articles: tuple[Article, ...]) -> Decision:
    return Decision(Verdict.NOT_SERVED, words, articles, grounds=(event,))


def _unproven(event: Event, words: str, articles: tuple[Article, ...]) -> Decision:
    return Decision(Verdict.UNPROVEN, words, articles, grounds=(event,))


def _right(order: Order, event: Event, who: Who) -> _Right | None:
    """Find by what right somebody signed; a designated recipient may whatever else he is."""
    if who not in _PLACES and has_name_of(order.may_sign, event):
        return _DESIGNATED
    return _RIGHTS[_kind(order)].get(who)


def _missing_proof(order: Order, event: Event, right: _Right) -> str | None:
    """Say what keeps a signature by somebody who may sign from being proven."""
    if event.signer is None or not event.signer.id_no:
        return f"由{right.capacity}签收，但未记明签收人姓名或者有效身份证件号码，不能出具回执"
    if right.capacity is Capacity.RECIPIENT and not is_recipient(order, event):
        return "记为本人签收，但签收人姓名与受送达人不符，不能出具回执"
    _, who = find_relation(event)
    if right.capacity is not Capacity.DESIGNATED and who and who not in _RIGHTS[_kind(order)]:
        return f"记为{right.capacity}签收，但所记关系无权代收，不能出具回执"
    return None


# --- Returns ---

#: That the address was wrong, or was changed and nobody was told (第十一条); no attempt could mend it.
_ADDRESS_AT_FAULT = frozenset({Reason.BAD_ADDRESS, Reason.UNKNOWN_PERSON, Reason.MOVED})
_RETURN_WORDS: Mapping[Reason | None, str] = {
    Reason.BAD_ADDRESS: "因地址不准确退回",
    Reason.UNKNOWN_PERSON: "因查无此人退回",
    Reason.MOVED: "因受送达人已迁移退回",
    Reason.UNREACHABLE: "因联系不上受送达人退回",
    None: "因他人拒收退回，不是受送达人拒绝签收",
}


def _returned(order: Order, history: Sequence[Event]) -> Decision:
    """Decide whether a return serves: a refusal does, and whatever came back from an address that was confirmed."""
    last, cause = history[-1], _cause(history)
    grounds = (cause,) if cause is last else (cause, last)
    reason = cause.reason or Reason.OTHER
    if reason is Reason.REFUSED and not _refuses_service(order, cause):
        return _sent_back(order, history, None, grounds)
    if reason is Reason.REFUSED:
        articles = (Article.PROOF, Article.DATE_OF_RETURN)
        words = "受送达人或者其指定代收人拒绝签收，退回之日视为送达之日"
        return Decision(Verdict.REFUSED, words, articles, served_on=_day(last), reason=reason, grounds=grounds)
    return _sent_back(order, history, reason, grounds)


def _sent_back(order: Order, history: Sequence[Event], reason: Reason | None, grounds: tuple[Event, ...]) -> Decision:
    """Decide what a return serves that the recipient did not refuse; no reason: somebody else refused."""
    is_confirmed = bool(order.recipient.address.is_confirmed)
    because = _RETURN_WORDS.get(reason, "未能送达而退回")
    effect = "地址经受送达人确认，退回之日视为送达之日" if is_confirmed else "无送达地址确认书，不视为送达"
    needs_attempts = reason not in {*_ADDRESS_AT_FAULT, None}
    is_early = needs_attempts and not _are_enough(list(_attempts(history)))
    return Decision(
        Verdict.RETURNED,
        f"{because}；{effect}",
        (*((Article.ATTEMPTS,) if needs_attempts else ()), Article.DATE_OF_RETURN),
        served_on=_day(history[-1]) if is_confirmed else None,
        reason=reason or Reason.OTHER,
        grounds=grounds,
        doubts=("退回前在五日内投递不足三次",) if is_early else (),
    )


def _cause(history: Sequence[Event]) -> Event:
    """Find the event that says why the item came back: the last one with a reason that says something."""
    told = [event for event in history if event.reason is not None]
    clear = [event for event in told if event.reason is not Reason.OTHER]
    return next(reversed(clear or told or history))


def _refuses_service(order: Order, event: Event) -> bool:
    """Say whether the recipient refused, or somebody designated; a courier who names nobody means the recipient."""
    who = find_who(order, event)
    if who is Who.UNKNOWN or has_name_of(order.may_sign, event):
        return True
    right = _RIGHTS[_kind(order)].get(who)
    return right is not None and right.capacity in _REFUSING


_REFUSING = frozenset({Capacity.RECIPIENT, Capacity.LEGAL_REPRESENTATIVE, Capacity.STAFF})


# --- Parties and days ---


def _kind(order: Order) -> PartyKind:
    return order.recipient.kind or PartyKind.PERSON


def _day(event: Event) -> date:
    return event.occurred_at.astimezone(SHANGHAI).date()
