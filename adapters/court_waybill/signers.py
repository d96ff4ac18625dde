"""Who took an item or turned it away, as far as a backend told it. What that means is the law's (`law`)."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum, auto

from govpost.schemas import Event, Order, Person, ReceivedBy
from govpost.schemas.identifiers import check_citizen_id

__all__ = ["Who", "find_relation", "find_who", "has_name_of", "has_other_document", "is_minor", "is_recipient"]

_ADULT_AT = 18
#: What is written into names or not, as it pleases: blanks, and the dot of names from other languages.
_OPTIONAL = re.compile(r"[\s·•・‧∙]+")


class Who(Enum):
    """Who it was."""

    RECIPIENT = auto()
    FAMILY = auto()
    STATUTORY_AGENT = auto()
    LITIGATION_AGENT = auto()
    #: Of one of these two kinds.
    AGENT = auto()
    LEGAL_REPRESENTATIVE = auto()
    #: Of an office or a mailroom.
    STAFF = auto()
    COLLEAGUE = auto()
    PROPERTY = auto()
    PICKUP_POINT = auto()
    NOBODY = auto()
    #: Somebody else.
    STRANGER = auto()
    #: It was not told.
    UNKNOWN = auto()


_BY_RECEIVER: Mapping[ReceivedBy, Who] = {
    ReceivedBy.SELF: Who.RECIPIENT,
    ReceivedBy.FAMILY: Who.FAMILY,
    ReceivedBy.COLLEAGUE: Who.COLLEAGUE,
    ReceivedBy.MAILROOM: Who.STAFF,
    ReceivedBy.OFFICE: Who.STAFF,
    ReceivedBy.PROPERTY: Who.PROPERTY,
    ReceivedBy.PICKUP_POINT: Who.PICKUP_POINT,
    ReceivedBy.UNATTENDED: Who.NOBODY,
}

#: Couriers' words for what the signer is to the recipient. They decide where the above says too little.
_RELATIONS: Mapping[Who, tuple[str, ...]] = {
    Who.RECIPIENT: ("本人",),
    Who.FAMILY: (
        *(
            "配偶",
            "丈夫",
            "妻子",
            "夫",
            "妻",
            "夫妻",
            "父亲",
            "母亲",
            "父",
            "母",
            "父母",
            "父子",
            "父女",
            "母子",
            "母女",
        ),
        *(
            "儿子",
            "女儿",
            "子",
            "女",
            "子女",
            "兄弟",
            "姐妹",
            "哥哥",
            "弟弟",
            "姐姐",
            "妹妹",
            "祖父",
            "祖母",
            "孙子",
            "孙女",
        ),
        *("家属", "家人", "亲属", "同住家属", "同住成年家属"),
    ),
    Who.STATUTORY_AGENT: ("法定代理人", "监护人"),
    Who.LITIGATION_AGENT: ("诉讼代理人", "委托诉讼代理人", "代理律师", "律师"),
    Who.LEGAL_REPRESENTATIVE: ("法定代表人", "负责人", "主要负责人"),
    Who.STAFF: ("办公室", "收发室", "值班室", "传达室", "收发人员"),
    Who.COLLEAGUE: ("同事", "员工", "职员"),
    Who.PROPERTY: ("物业", "物业人员"),
    Who.PICKUP_POINT: ("驿站", "快递柜", "代收点"),
}
_BY_RELATION = {word: who for who, words in _RELATIONS.items() for word in words}

_BY_DEFAULT: Mapping[ReceivedBy | None, Who] = {
    ReceivedBy.AGENT: Who.AGENT,
    ReceivedBy.OTHER: Who.STRANGER,
    None: Who.UNKNOWN,
}


def find_who(order: Order, event: Event) -> Who:
    """Make out who it was: by what the courier chose, else by the relation, else by the name."""
    who = _BY_RECEIVER.get(event.received_by) if event.received_by else None
    who = who or find_relation(event)[1]
    if who is None and is_recipient(order, event):
        who = Who.RECIPIENT
    return who or _BY_DEFAULT[event.received_by]


def find_relation(event: Event) -> tuple[str, Who] | tuple[None, None]:
    """Give what the signer is to the recipient, and who that is, where it is a word we know and not prose."""
    relation = event.signer.relation.strip() if event.signer and event.signer.relation else ""
    who = _BY_RELATION.get(relation)
    return (relation, who) if who else (None, None)


def is_recipient(order: Order, event: Event) -> bool:
    """Tell whether the signer has the recipient's name."""
    return event.signer is not None and _bare(event.signer.name) == _bare(order.recipient.name)


def has_name_of(people: Sequence[Person] | None, event: Event) -> bool:
    """Tell whether the signer has the name of one of these."""
    names = {_bare(person.name) for person in people or ()}
    return event.signer is not None and _bare(event.signer.name) in names


def has_other_document(order: Order, event: Event) -> bool:
    """Tell whether the signer showed a document of the recipient's kind with another number."""
    known, signer = order.recipient.id_document, event.signer
    if known is None or signer is None or signer.id_no is None or (signer.id_type or known.type) != known.type:
        return False
    return _bare(signer.id_no) != _bare(known.no)


def is_minor(event: Event, *, on: date) -> bool:
    """Tell whether the signer's citizen ID holds a birthday less than 18 years ago; other numbers hold none."""
    try:
        born = check_citizen_id(event.signer.id_no or "" if event.signer else "")[6:14]
    except ValueError:
        return False
    return f"{on.year - _ADULT_AT:04}{on:%m%d}" < born


def _bare(text: str) -> str:
    """Bring a name or a number to the form in which two of them are the same."""
    return _OPTIONAL.sub("", unicodedata.normalize("NFKC", text)).casefold()
