"""EMS's envelope: a form whose payload is sealed under the signKey, and answers whose body is JSON once more.

Contract: ems. Nothing here knows what is placed or told.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from govpost.adapters.ems.codes import RESULTS, TAKEN_WORDS
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.http_status import status_outcome
from govpost.schemas import Outcome, OutcomeKind, WireReply
from govpost.schemas.documents import JsonObject, parse_json, parse_json_object
from govpost.schemas.errors import UnreadableError

__all__ = ["Answer", "SignKey", "build_form", "parse_form", "read_answer"]

#: Stands before every sealed payload.
_MARK = "|$4|"

#: A push has seven fields; a form of many more is nobody's.
_MOST_FIELDS = 32

_RET_CODE = re.compile(r"[0-9A-Za-z]{1,12}")


@dataclass(frozen=True, slots=True)
class SignKey:
    """The key, and the text it was given as: that goes into what is sealed, as its signature."""

    text: str = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "SignKey":
        """Read the Base64 of 16 bytes; raises ValueError, without the text, for anything else."""
        try:
            key = b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != sm.BLOCK_SIZE:
            raise ValueError("must be the Base64 of 16 bytes")
        return cls(text, key)

    def seal(self, document: bytes) -> str:
        """Make logitcsInterface of a business document."""
        return _MARK + b64encode(sm.sm4_ecb_encrypt(self.key, document + self.text.encode())).decode()

    def open(self, sealed: str) -> Any:
        """Open a pushed logitcsInterface; the signKey's text may stand at its end or not.

        Raises ValueError where it does not open to JSON. Why is not told apart: another key may by chance leave good
        padding behind.
        """
        try:
            opened = sm.sm4_ecb_decrypt(self.key, b64decode(sealed.removeprefix(_MARK), validate=True))
            return parse_json(opened.removesuffix(self.text.encode()))
        except (ValueError, UnreadableError):
            raise ValueError("does not open to JSON under the signKey") from None


def build_form(fields: Mapping[str, str]) -> bytes:
    """Write a form in which no `+` stands: neither for a space nor for itself."""
    return urlencode(fields, quote_via=quote, safe="").encode()


def parse_form(body: bytes) -> dict[str, str]:
    """Read a form; raises UnreadableError for what is none, or has a field twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise UnreadableError("body is not a form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise UnreadableError("body has a field twice")
    return fields


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of EMS: what it means, and its retBody, opened where that was JSON in a text."""

    outcome: Outcome
    body: Any = field(default=None, repr=False)

    @property
    def is_taken(self) -> bool:
        """Whether EMS did what was asked, or had done it."""
        return self.outcome.kind is OutcomeKind.TAKEN


def read_answer(reply: WireReply, at: datetime, *, api_code: str) -> Answer:
    """Judge an answer by its retCode where it has one we know, else by HTTP's status; 5xx is always unknown."""
    answer = _members(reply)
    code, text = answer.get("retCode"), answer.get("retMsg")
    if not isinstance(code, str) or code not in RESULTS:
        return Answer(_unworded(reply, code, at))
    words = text if isinstance(text, str) else ""
    kind = RESULTS[code]
    if kind is OutcomeKind.REFUSED and any(word in words for word in TAKEN_WORDS.get(api_code, ())):
        kind = OutcomeKind.TAKEN
    return Answer(Outcome(kind, code=code, text=words), _body(answer.get("retBody")))


def _members(reply: WireReply) -> JsonObject:
    if reply.status >= 500:
        return {}
    try:
        return parse_json_object(reply.body)
    except UnreadableError:
        return {}


def _unworded(reply: WireReply, code: Any, at: datetime) -> Outcome:
    """Judge an answer without a known retCode; a good status alone promises nothing."""
    outcome = status_outcome(reply, at)
    if outcome.kind is not OutcomeKind.TAKEN:
        return outcome
    is_code = isinstance(code, str) and _RET_CODE.fullmatch(code)
    return Outcome(OutcomeKind.UNKNOWN, code=code if is_code else "unreadable answer")


def _body(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return parse_json(body.encode())
    except UnreadableError:
        return body
