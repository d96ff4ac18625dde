"""A court as the gateway meets it: it sends batches, and takes what became of them (contract: court_waybill, v1)."""

import base64
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Self

import requests

from govpost.mocks._court_returns import (
    INVALID,
    PortalTask,
    Return,
    check_return,
    holds_personal_data,
    read_return,
)
from govpost.mocks._court_spoils import SPOILS, Spoil
from govpost.mocks._court_tasks import (
    batch_of,
    good_tasks,
    new_batch,
    new_task,
    new_tasks,
    read_task,
    sample_batches,
    tasks_of,
    wrap,
)
from govpost.mocks._court_xml import Element, build, check, encode, name_of, parse, parse_text, text_of
from govpost.mocks._sm2 import KeyPair, is_signed, key_pair_of, new_key_pair, read_public_key, sign
from govpost.mocks.base import Exchange, Heard, JsonObject, PortalMock, Sample, UnfitError, utc_now
from govpost.mocks.faults import Fault, FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest
from govpost.schemas.errors import ConfigurationError

__all__ = [
    "DEMO_COURT_CERT",
    "DEMO_COURT_KEY",
    "DEMO_GATEWAY_CERT",
    "DEMO_GATEWAY_KEY",
    "SPOILS",
    "Answer",
    "CourtWaybillMock",
    "PortalTask",
    "Return",
    "Spoil",
    "TaskAnswer",
    "new_batch",
    "new_task",
    "new_tasks",
    "sample_batches",
    "signed_bytes",
]

#: The synthetic keys of the contract's worked examples, and names for them.
DEMO_COURT_CERT = "court-demo"
DEMO_COURT_KEY = KeyPair(
    "fcc2ac1c06ee55bd2b43b3282b2c02d7d4de97884a4ed001f92f6a3fac24f402"
    "6614cdea930d8b148e42bfe6bb8e5d65d98160dc3ea765f7cbc3c68262c7e4fc",
    "fd4f7bb73293808c6625ab97efe5624b1098b6e521a0557a778477399462d193",
)
DEMO_GATEWAY_CERT = "gateway-demo"
DEMO_GATEWAY_KEY = KeyPair(
    "a97299e8438e02ca44b0d18d3e9ee3b3b547b9d4cf17e0762e11c61637be3c93"
    "caa38da94773cd5728e3f6fa040f509f9ba73116c19e76bd30a99346c7cda539",
    "938e134b890e13a306cc17c48f0e2a27c5b0d5a15be1a575ea4d8b737eaa80dd",
)

_SECTION = "[portals.court_waybill]"
_RETURNS_PATH = "/hc"
_XML = "application/xml"
_FIRST_SPOILT_SEED = 990_000
_XML_TYPES = frozenset({_XML, "text/xml"})
_CLOCK_TOLERANCE = timedelta(seconds=300)
_LONG_AGO = timedelta(hours=1)
_SIGN_HEADERS = ("X-Cert-Id", "X-Timestamp", "X-Signature")
_MILLISECONDS = re.compile(r"[0-9]{13}")
#: A fault's status below this is no HTTP status but a code of the court's.
_FIRST_HTTP_STATUS = 100
#: Answers that come without a document.
_PLAIN_STATUSES = frozenset({408, 413, 429, 431, 503})

_TAKEN, _HAS_IT, _UNKNOWN, _BAD_SIGNATURE, _AGAIN = "0", "1", "2", "8", "9"
_WORDS = {
    _TAKEN: "已接收",
    _HAS_IT: "此前已接收",
    _UNKNOWN: "无此任务",
    INVALID: "内容不符合规定",
    _BAD_SIGNATURE: "签名或时间无效",
    _AGAIN: "请稍后再试",
}


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What the gateway said to one task of a batch."""

    rwid: str
    #: 0 taken, 1 refused.
    code: str
    order_id: str = ""
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's answer to a batch."""

    #: 0, or 4, 5, 8, 9 for what befell the whole batch; "" where the answer is plain HTTP (408, 413, 429, 431, 503).
    code: str
    #: One for each task, in order; none where the code is not 0.
    tasks: tuple[TaskAnswer, ...] = ()
    message: str = field(default="", repr=False)
    http_status: int = 200

    @property
    def is_success(self) -> bool:
        """Whether the gateway took every task."""
        return self.code == _TAKEN and all(task.code == _TAKEN for task in self.tasks)

    @property
    def codes(self) -> list[str]:
        """What was said to each task."""
        return [task.code for task in self.tasks]


class CourtWaybillMock(PortalMock):
    """The court. It answers returns (`HuiChuan`), and builds, signs and sends the batches that a court sends.

    In strict mode (the default) a return must be of a task that `build_batch` or `expect` announced. Faults of its
    own: bad_signature, expired_key, stale_answer, truncated, wrong_encoding, entity (of any answer), unsure (a return
    is done, and answered 9). The scripted faults `error` and `error_after` with a status of one digit say it in the
    court's own words, as a signed code.
    """

    key = "court_waybill"
    #: Of GuiJi; what a receipt is of (YS, JS, TH, CX) is no status of an item.
    statuses = MappingProxyType(
        {
            "01": Status.ACCEPTED,
            "02": Status.NUMBERED,
            "03": Status.COLLECTED,
            "04": Status.IN_TRANSIT,
            "05": Status.OUT_FOR_DELIVERY,
            "06": Status.DELIVERED,
            "07": Status.UNDELIVERED,
            "08": Status.RETURNING,
            "09": Status.RETURNED,
            "10": Status.CANCELLED,
            "11": Status.LOST,
        }
    )
    reasons = MappingProxyType(
        {
            "01": Reason.BAD_ADDRESS,
            "02": Reason.UNKNOWN_PERSON,
            "03": Reason.UNREACHABLE,
            "04": Reason.REFUSED,
            "05": Reason.MOVED,
            "06": Reason.DEFERRED,
            "07": Reason.WILL_COLLECT,
            "99": Reason.OTHER,
        }
    )
    results = MappingProxyType(
        {
            _TAKEN: OutcomeKind.TAKEN,
            _HAS_IT: OutcomeKind.TAKEN,
            _UNKNOWN: OutcomeKind.REFUSED,
            INVALID: OutcomeKind.REFUSED,
            _BAD_SIGNATURE: OutcomeKind.AUTH,
            _AGAIN: OutcomeKind.BUSY,
        }
    )
    #: Whether papers are served depends on who signed for them.
    wants_signers = True

    def __init__(
        self,
        sign_cert: str = DEMO_COURT_CERT,
        sign_key: KeyPair = DEMO_COURT_KEY,
        certs: Mapping[str, str] | None = None,
        *,
        prefix: str = "/portals/court_waybill",
        gateway_url: str = "",
        is_strict: bool = True,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        keep: int = 10_000,
    ) -> None:
        super().__init__(plan=plan, now=now, keep=keep)
        #: What this court signs with, and what the gateway knows that by.
        self.sign_cert, self.sign_key = sign_cert, sign_key
        #: Name → public key, of the gateway's keys that are live.
        self.certs = {name: read_public_key(key) for name, key in (certs or _DEMO_CERTS).items()}
        self.prefix = prefix.rstrip("/")
        self.gateway_url = gateway_url.rstrip("/")
        self.is_strict = is_strict
        #: rwid → task.
        self.tasks: dict[str, PortalTask] = {}
        #: qqid → what was taken, in arrival order.
        self.returns: dict[str, Return] = {}
        #: qqid → how often it came again and was answered 1.
        self.repeats: Counter[str] = Counter()
        #: Returns whose qqid was used before for others.
        self.changed = 0
        #: Labels and traces that say what an earlier one said, under another qqid.
        self.told_twice = 0
        #: Requests that came again with their timestamp and were answered as the first time.
        self.replayed = 0
        #: qqid → the body that came under it.
        self._bodies: dict[str, bytes] = {}
        #: What a return says → the qqid under which it was said first.
        self._said: dict[tuple[str, ...], str] = {}
        #: Timestamp and digest of a request that was proven → when, and what it was answered.
        self._answered: dict[tuple[str, bytes], tuple[datetime, Element]] = {}
        #: Number of a batch that was built → its rwids.
        self._batches: dict[str, list[str]] = {}
        self._order_ids: dict[str, str] = {}
        self._signed_at = datetime.min.replace(tzinfo=UTC)

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the court that `[portals.court_waybill]` of a gateway's settings talks to, or the demo one.

        Not strict: whoever runs it as a server of its own announces no tasks to it. Settings hold the public half of
        the court's keys only, so the court can be nobody but the one of the worked examples; ConfigurationError where
        the gateway does not trust that one.
        """
        section = document.get("portals", {}).get(cls.key, {})
        ingress = {"host": "127.0.0.1", "port": 8080, **document.get("ingress", {})}
        gateway_url = f"http://{ingress['host']}:{ingress['port']}"
        return cls(**{"gateway_url": gateway_url, "is_strict": False, **_shared_keys(section), **options})

    def settings(self) -> JsonObject:
        """Give what `[portals.court_waybill]` must hold: the demo key, which is the only one known here as a whole.

        ConfigurationError where the gateway has another.
        """
        names = [name for name, key in self.certs.items() if key == DEMO_GATEWAY_KEY.public]
        if not names:
            raise ConfigurationError(f"{_SECTION} sign_key: the stand-in knows the public half of the gateway's only")
        return {
            "base_url": self.url,
            "certs": {self.sign_cert: self.sign_key.public},
            "sign_cert": names[0],
            "sign_key": DEMO_GATEWAY_KEY.private,
        }

    # --- keys ---------------------------------------------------------------------------------------------------------

    def rotate_keys(self, cert_id: str, private_key: str | None = None) -> str:
        """Sign with another key from now on, a new one unless it is given; returns its public half."""
        self.sign_cert = cert_id
        self.sign_key = new_key_pair() if private_key is None else key_pair_of(private_key)
        return self.sign_key.public

    def trust_key(self, cert_id: str, public_key: str) -> None:
        """Take one more key of the gateway's for live."""
        self.certs[cert_id] = read_public_key(public_key)

    # --- what the court takes -----------------------------------------------------------------------------------------

    def expect(self, task: str) -> None:
        """Announce a task, given as the text of its `RenWu`, so that returns of it are taken in strict mode."""
        self._expect([parse_text(task)])

    def reset(self) -> None:
        """Forget everything but the keys."""
        with self._lock:
            super().reset()
            self.changed = self.told_twice = self.replayed = 0
            memories = (
                self.tasks,
                self.returns,
                self.repeats,
                self._bodies,
                self._said,
                self._answered,
                self._batches,
                self._order_ids,
            )
            for memory in memories:
                memory.clear()

    def state(self) -> JsonObject:
        """Count tasks, what was told of them, and what was told again."""
        with self._lock:
            kinds = Counter(each.kind for each in self.returns.values())
            withdrawn = sum(each.code == "CX" for each in self.returns.values())
            return {
                "orders": len(self.tasks),
                "waybills": kinds["MianDan"],
                "traces": kinds["GuiJi"],
                "receipts": kinds["HuiZhi"] - withdrawn,
                "withdrawn": withdrawn,
                "repeats": self.repeats.total(),
                "replayed": self.replayed,
                "changed": self.changed,
                "told_twice": self.told_twice,
            }

    def report(self) -> JsonObject:
        """List each task's order id, waybill, statuses and receipts in arrival order, and qqids."""
        with self._lock:
            return {task.rwid: _report(task) for task in self.tasks.values()}

    def heard(self) -> list[Heard]:
        """List what was told and taken; the status of a label is 02, that of a receipt its `jg`."""
        with self._lock:
            return [
                Heard(
                    each.rwid,
                    each.qqid,
                    each.code,
                    each.waybill_no,
                    reason=each.get("yydm"),
                    body={"kind": each.kind, **each.attributes, "contents": [kind for kind, _ in each.contents]},
                )
                for each in self.returns.values()
            ]

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer a return with a `dm`."""
        with self._lock:
            return self._sign_answer(_answer(code), request)

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """Name the actions.

        `send_new {count, seed, start}` → code by rwid; `rotate_keys {cert_id, private_key?}`; `trust_key {cert_id,
        public_key}`.
        """
        return {"send_new": self.send_new, "rotate_keys": self.rotate_keys, "trust_key": self.trust_key}

    def exchange(self, request: WireRequest) -> Exchange:
        """Answer a request, or let it go wrong; what the court itself says of that is signed."""
        exchange = super().exchange(request)
        code = None if exchange.fault is None else _code_of(exchange.fault)
        if code is None:
            return exchange
        with self._lock:
            return Exchange(self._sign_answer(_answer(code), request), exchange.fault)

    def _expect(self, tasks: list[Element]) -> list[str]:
        announced = [read_task(element) for element in tasks]
        with self._lock:
            # Of two with one rwid the gateway takes the first; what it has taken stays as it is.
            for task in reversed(announced):
                known = self.tasks.setdefault(task.rwid, PortalTask(task.rwid))
                known.task = known.task if known.order_id else task
        return [task.rwid for task in announced]

    def _respond(self, request: WireRequest) -> WireReply:
        if not request.path.endswith(_RETURNS_PATH):
            raise UnfitError("path", f"does not end in {_RETURNS_PATH}", code="404")
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="405")
        self._check_signed(request.headers, request.body, code=_BAD_SIGNATURE)
        known = self._recall(request)
        if known is not None:
            self.replayed += 1
            return self._sign_answer(known, request)
        return self._conclude(self._take(request), request)

    def _refuse(self, error: UnfitError) -> WireReply:
        if error.code in {"404", "405"}:
            return super()._refuse(error)
        # Called under the lock, of the request that was noted last.
        request = self.requests[-1]
        answer = _answer(error.code, f"{_WORDS[error.code]} {error.where}: {error.reason}")
        if error.code == _BAD_SIGNATURE:
            return self._sign_answer(answer, request)
        return self._conclude(answer, request)

    def _recall(self, request: WireRequest) -> Element | None:
        """Find what a request was answered that came with the same timestamp and the same bytes."""
        oldest = self.now() - 2 * _CLOCK_TOLERANCE
        while self._answered and next(iter(self._answered.values()))[0] < oldest:
            del self._answered[next(iter(self._answered))]
        known = self._answered.get(_identity(request))
        return known and known[1]

    def _conclude(self, answer: Element, request: WireRequest) -> WireReply:
        """Answer a request that was proven, the same if it comes again."""
        self._answered[_identity(request)] = (self.now(), answer)
        return self._sign_answer(answer, request)

    def _take(self, request: WireRequest) -> Element:
        _check_type(request.headers, code=INVALID)
        document = parse(request.body, where="body", code=INVALID)
        if name_of(document) != "HuiChuan":
            raise UnfitError("body", "is no HuiChuan", code=INVALID)
        check(document, code=INVALID)
        told = read_return(document)
        task = self._find(told.rwid)
        if told.kind == "ChaXun":
            return build("YingDa", {"dm": _TAKEN}, *(build("Qqid", text=each.qqid) for each in task.returns))
        code = self._believe(task, told, request.body)
        return _answer(_AGAIN if self.plan.draw_own(FaultKind.UNSURE, request) else code)

    def _find(self, rwid: str) -> PortalTask:
        if self.is_strict and rwid not in self.tasks:
            raise UnfitError("HuiChuan/@rwid", "is no task of this court", code=_UNKNOWN)
        return self.tasks.get(rwid, PortalTask(rwid))

    def _believe(self, task: PortalTask, told: Return, body: bytes) -> str:
        if told.qqid in self._bodies:
            return self._recognize(told, body)
        self._count_told_twice(told)
        check_return(task, told)
        task.take(told)
        self.tasks[told.rwid] = task
        self.returns[told.qqid] = told
        self._bodies[told.qqid] = body
        return _TAKEN

    def _recognize(self, told: Return, body: bytes) -> str:
        if self._bodies[told.qqid] != body:
            self.changed += 1
            raise UnfitError("HuiChuan/@qqid", "was used before with another body", code=INVALID)
        self.repeats[told.qqid] += 1
        return _HAS_IT

    def _count_told_twice(self, told: Return) -> None:
        if told.is_correction or told.kind == "HuiZhi":
            # A second receipt is refused.
            return
        said = (told.rwid, told.kind, told.waybill_no, told.code, told.at.isoformat() if told.at else "")
        self.told_twice += self._said.setdefault(said, told.qqid) != told.qqid

    def _check_signed(self, headers: Mapping[str, str], body: bytes, *, where: str = "", code: str) -> None:
        for name in _SIGN_HEADERS:
            if not headers.get(name):
                raise UnfitError(f"{where}header {name}", "is missing", code=code)
        cert, timestamp, signature = (headers[name] for name in _SIGN_HEADERS)
        if cert not in self.certs:
            raise UnfitError(f"{where}header X-Cert-Id", "names no live key of the gateway's", code=code)
        if not is_signed(signed_bytes(timestamp, body), _from_base64(signature), by=[self.certs[cert]]):
            raise UnfitError(f"{where}header X-Signature", "is not that of this key over these bytes", code=code)
        if not _MILLISECONDS.fullmatch(timestamp) or abs(_from_ms(timestamp) - self.now()) > _CLOCK_TOLERANCE:
            raise UnfitError(f"{where}header X-Timestamp", "is not Unix milliseconds within 300 s of now", code=code)

    def _sign_answer(self, answer: Element, request: WireRequest | None = None) -> WireReply:
        """Say something to the gateway, or what the plan makes of it."""
        draw = self.plan.draw_own
        body = encode(text_of(answer))
        for kind, spoil in _SPOILT_ANSWERS.items():
            body = spoil(body) if draw(kind, request) else body
        at = self.now() - (_LONG_AGO if draw(FaultKind.STALE_ANSWER, request) else timedelta())
        cert, key = self._retired if draw(FaultKind.EXPIRED_KEY, request) else (self.sign_cert, self.sign_key)
        signed = body + b" " if draw(FaultKind.BAD_SIGNATURE, request) else body
        return WireReply(200, {**_sign(signed, at, cert, key), "Content-Type": _XML}, body)

    @cached_property
    def _retired(self) -> tuple[str, KeyPair]:
        return "court-retired", new_key_pair()

    def _say_busy(self, seconds: int) -> WireReply:  # noqa: ARG002 - this wire cannot say how long
        return self._sign_answer(_answer(_AGAIN))

    # --- what the court sends -----------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Give the three batches; those of their tasks that must be refused are left out."""
        batches = map(good_tasks, sample_batches())
        return [Sample({"xml": text}, dict.fromkeys(rwids, 1)) for text, rwids in batches]

    def hand_over(self, document: JsonObject) -> WireRequest:
        """Build the request that hands tasks over: one as the contract's samples have it, or `{"xml": text}`.

        The text is that of a `SongDaPiCi` or of one `RenWu`, with or without a prolog, well-formed or not. It is sent
        in GB18030 and with the contract's prolog. A single task becomes a batch of its own, whose number follows from
        its content. UnfitError for a sample that XML cannot say.
        """
        text = document.get("xml")
        return self.build_batch(wrap(text) if isinstance(text, str) else batch_of(document))

    def wrap(self, content: bytes) -> WireRequest:
        """Sign any body of a batch."""
        return self.sign_request(content)

    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether the gateway took every task of a batch."""
        return self.parse_reply(reply).is_success

    def build_batch(self, batch: str) -> WireRequest:
        """Build the request that sends a batch, given as text without a prolog; signed anew at each call."""
        return self.sign_request(encode(batch))

    def build_spoilt(self, name: str, batch: str | None = None) -> WireRequest:
        """Build a batch that must be refused in one of the ways of `SPOILS`.

        It is made of three synthetic tasks, of which no two ways share one, or of a good batch that is given.
        """
        good = new_batch(3, seed=_FIRST_SPOILT_SEED + list(SPOILS).index(name)) if batch is None else batch
        return self.sign_request(SPOILS[name].apply(good))

    def retry(self, request: WireRequest) -> WireRequest:
        """Build a request again: the same bytes, signed anew."""
        return self.sign_request(request.body)

    def sign_request(self, body: bytes, *, at: datetime | None = None) -> WireRequest:
        """Sign any bytes for the gateway's door, now or at another time."""
        question = _read_question(body)
        if question is not None:
            self._batches[question.get("pch", "")] = self._expect(tasks_of(question))
        signed = _sign(body, at or self._next_moment(), self.sign_cert, self.sign_key)
        return WireRequest("POST", f"{self.prefix}/batches", {**signed, "Content-Type": _XML}, body)

    def _next_moment(self) -> datetime:
        """Tell the time, later than before: the timestamp is all that tells a request from the one before it."""
        with self._lock:
            self._signed_at = max(self.now(), self._signed_at + timedelta(milliseconds=1))
            return self._signed_at

    def parse_reply(self, reply: WireReply, *, request: WireRequest | None = None) -> Answer:
        """Open the gateway's answer, to that request or to any of ours; UnfitError where it breaks the contract."""
        if reply.status in _PLAIN_STATUSES:
            return Answer("", http_status=reply.status)
        if reply.status != 200:
            raise UnfitError("answer", f"is HTTP {reply.status}, which the contract does not know")
        self._check_signed(reply.headers, reply.body, where="answer ", code="400")
        _check_type(reply.headers, where="answer ", code="400")
        document = parse(reply.body, where="answer", code="400")
        if name_of(document) != "PiCiJieGuo":
            raise UnfitError("answer", "is no PiCiJieGuo")
        check(document, where="answer ", code="400")
        return self._read_answer(
            document, self._batches if request is None else _numbered(_read_question(request.body))
        )

    def _read_answer(self, document: Element, asked: Mapping[str, list[str]]) -> Answer:
        """Read an answer to one of some batches, given by number; none where it is to no batch."""
        number = document.get("pch", "")
        code, message = document.get("dm"), document.get("xx", "")
        if number not in asked and (code == _TAKEN or (number and asked)):
            raise UnfitError("answer PiCiJieGuo/@pch", "is not the request's")
        answers = tuple(map(_read_task_answer, document))
        rwids = asked.get(number, [])
        self._check_impersonal(message, rwids)
        if code != _TAKEN:
            return _read_refusal(code, answers, message)
        _check_counts(document, answers, rwids)
        for place, answer in enumerate(answers, start=1):
            self._learn(answer, f"answer JieGuo[{place}]")
        return Answer(code, answers, message)

    def _learn(self, answer: TaskAnswer, where: str) -> None:
        """Believe what is said of a task, unless it contradicts what was said before."""
        self._check_impersonal(answer.reason, [answer.rwid])
        if answer.code != _TAKEN:
            return
        with self._lock:
            task = self.tasks.setdefault(answer.rwid, PortalTask(answer.rwid))
            if task.order_id not in {"", answer.order_id}:
                raise UnfitError(f"{where}/@orderId", "is another than the task had before")
            if self._order_ids.setdefault(answer.order_id, answer.rwid) != answer.rwid:
                raise UnfitError(f"{where}/@orderId", "is another task's")
            task.order_id = answer.order_id

    def _check_impersonal(self, text: str, rwids: list[str]) -> None:
        known = [task.task for rwid in rwids if (task := self.tasks.get(rwid)) and task.task]
        if any(holds_personal_data(text, task) for task in known):
            raise UnfitError("answer", "says personal data of a task")

    def send(self, request: WireRequest, *, session: requests.Session | None = None, timeout_s: float = 30.0) -> Answer:
        """Carry a built request to `gateway_url` and open the answer. Raises what requests raises."""
        call = session.request if session is not None else requests.request
        reply = call(
            request.method,
            self.gateway_url + request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=timeout_s,
        )
        return self.parse_reply(WireReply(reply.status_code, reply.headers, reply.content), request=request)

    def send_new(self, count: int = 1, seed: int = 0, start: int = 0, size: int = 500) -> dict[str, str]:
        """Send synthetic tasks to the gateway, at most `size` in a batch, as the plan arranges the batches.

        Returns rwid → the code that it, or else its batch, was answered last.
        """
        ends = range(start, start + count, size)
        batches = [new_batch(min(size, start + count - first), seed, first) for first in ends]
        codes: dict[str, str] = {}
        with requests.Session() as session:
            for batch in self.plan.arrange(batches):
                request = self.build_batch(batch)
                answer = self.send(request, session=session)
                codes |= dict.fromkeys(_numbered(parse_text(batch)).popitem()[1], answer.code)
                codes |= {task.rwid: task.code for task in answer.tasks}
        return codes


_DEMO_CERTS = {DEMO_GATEWAY_CERT: DEMO_GATEWAY_KEY.public}


def signed_bytes(timestamp: str, body: bytes) -> bytes:
    """Join what a signature is of."""
    return timestamp.encode() + b"\n" + body


def _sign(body: bytes, at: datetime, cert: str, key: KeyPair) -> dict[str, str]:
    timestamp = str(round(at.timestamp() * 1000))
    signature = base64.b64encode(sign(signed_bytes(timestamp, body), key)).decode()
    return dict(zip(_SIGN_HEADERS, (cert, timestamp, signature), strict=True))


def _shared_keys(section: Mapping[str, Any]) -> JsonObject:
    """Find what settings of a gateway say of the keys of both sides."""
    try:
        trusted = {read_public_key(key): name for name, key in section.get("certs", _DEMO_COURT_CERTS).items()}
        signs = key_pair_of(section.get("sign_key", DEMO_GATEWAY_KEY.private)).public
    except ValueError as error:
        raise ConfigurationError(f"{_SECTION} sign_key, certs: one of them {error}") from None
    if DEMO_COURT_KEY.public not in trusted:
        raise ConfigurationError(
            f"{_SECTION} certs: the stand-in cannot sign as that court; use the demo keys of the worked examples"
        )
    return {
        "sign_cert": trusted[DEMO_COURT_KEY.public],
        "certs": {section.get("sign_cert", DEMO_GATEWAY_CERT): signs},
    }


_DEMO_COURT_CERTS = {DEMO_COURT_CERT: DEMO_COURT_KEY.public}


def _answer(code: str, message: str = "") -> Element:
    return build("YingDa", {"dm": code, "xx": message or _WORDS.get(code, "有误")})


def _truncate(body: bytes) -> bytes:
    return body[:-4]


def _declare_other(body: bytes) -> bytes:
    return body.replace(b"GB18030", b"UTF-8", 1)


def _use_entity(body: bytes) -> bytes:
    """Declare an entity that says the code."""
    prolog, _, root = body.partition(b"\n")
    declared = b'<!DOCTYPE YingDa [<!ENTITY e "0">]>'
    return prolog + declared + re.sub(rb'dm="[0-9]"', b'dm="&e;"', root, count=1)


_SPOILT_ANSWERS: dict[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.WRONG_ENCODING: _declare_other,
    FaultKind.ENTITY: _use_entity,
    FaultKind.TRUNCATED: _truncate,
}


def _code_of(fault: Fault) -> str | None:
    """Say a fault in the court's own code; None for what is not its to say."""
    is_own = fault.kind in {FaultKind.ERROR, FaultKind.ERROR_AFTER} and fault.status < _FIRST_HTTP_STATUS
    return str(fault.status) if is_own else None


def _report(task: PortalTask) -> JsonObject:
    return {
        "order_id": task.order_id,
        "waybill": task.waybill_no,
        "states": [trace.code for trace in task.traces],
        "receipts": [{"jg": receipt.code, "sdrq": receipt.get("sdrq")} for receipt in task.receipts],
        "request_ids": [each.qqid for each in task.returns],
    }


def _check_type(headers: Mapping[str, str], *, where: str = "", code: str) -> None:
    """Hold a Content-Type, where there is one, to XML in GB18030."""
    media_type, _, more = headers.get("Content-Type", _XML).lower().partition(";")
    charset = more.strip().replace('"', "")
    if media_type.strip() not in _XML_TYPES or charset not in {"", "charset=gb18030"}:
        raise UnfitError(f"{where}header Content-Type", "is not XML in GB18030", code=code)


def _read_question(body: bytes) -> Element | None:
    """Read a batch of our own; None for what is no batch, though it may have been signed."""
    try:
        document = parse(body, where="", code="")
    except UnfitError:
        return None
    return document if name_of(document) == "SongDaPiCi" else None


def _numbered(batch: Element | None) -> dict[str, list[str]]:
    """Give the rwids of a batch by its number."""
    return {} if batch is None else {batch.get("pch", ""): [task.get("rwid", "") for task in tasks_of(batch)]}


def _read_task_answer(element: Element) -> TaskAnswer:
    rwid, code = str(element.get("rwid")), str(element.get("dm"))
    return TaskAnswer(rwid, code, element.get("orderId", ""), element.get("yuanyin", ""))


def _read_refusal(code: str, answers: tuple[TaskAnswer, ...], message: str) -> Answer:
    if answers:
        raise UnfitError("answer JieGuo", "does not go with a batch that was refused")
    return Answer(code, (), message)


def _check_counts(document: Element, answers: tuple[TaskAnswer, ...], rwids: list[str]) -> None:
    if [answer.rwid for answer in answers] != rwids:
        raise UnfitError("answer JieGuo", "are not those of the request's tasks, in order")
    for place, answer in enumerate(answers, start=1):
        if (answer.code == _TAKEN) == (not answer.order_id) or (answer.code != _TAKEN) == (not answer.reason):
            raise UnfitError(f"answer JieGuo[{place}]", "has an orderId if it is taken, and a reason if it is not")
    taken = sum(answer.code == _TAKEN for answer in answers)
    counts = {"zong": len(answers), "jieshou": taken, "jujue": len(answers) - taken}
    for name, value in counts.items():
        if document.get(name) != str(value):
            raise UnfitError(f"answer PiCiJieGuo/@{name}", "is not the number of such tasks")


def _identity(request: WireRequest) -> tuple[str, bytes]:
    return request.headers["X-Timestamp"], sha256(request.body).digest()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _from_ms(timestamp: str) -> datetime:
    return datetime.fromtimestamp(int(timestamp) / 1000, UTC)
