"""车管 便民通 on the out-access service, which is asked for mailings and told of them (contract: vehicle_admin)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from govpost.mocks._contract import Contract
from govpost.mocks._tmri import (
    REQUEST_NAMESPACE,
    SERVICES,
    Call,
    is_sayable,
    parse_call,
    parse_document,
    write_answer,
    write_envelope,
    write_fault,
    write_text,
    write_wsdl,
)
from govpost.mocks._vehicle_records import broken_records, new_record, new_records
from govpost.mocks._vehicle_writes import PortalRecord, check_time, leg_of, says_what_happened, take_write
from govpost.mocks.base import Heard, JsonObject, PortalMock, Rejection, Sample, UnfitError, load_data, utc_now
from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Status, WireReply, WireRequest

__all__ = [
    "DEMO_NAME",
    "DEMO_OFFICES",
    "PortalRecord",
    "VehicleAdminMock",
    "new_record",
    "new_records",
    "sample_records",
]

#: glbm → jkxlh, synthetic. The contract's samples are the first office's.
DEMO_OFFICES: Mapping[str, str] = {
    "500113000400": "demo-jkxlh-500113000400-do-not-use",
    "500103000400": "demo-jkxlh-500103000400-do-not-use",
    "500230000400": "demo-jkxlh-500230000400-do-not-use",
}

#: dwmc: what the offices are called.
DEMO_NAME = "重庆市车辆管理所"

_LIMIT = 100
#: So many records of `offer` share a second, so that windows can be split.
_A_SECOND = 50
_SHANGHAI = timezone(timedelta(hours=8))
_TIME_FORM = "%Y-%m-%d %H:%M:%S"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")

#: What the portal cannot do, and says as text; what was refused, and what is plain HTTP.
_RIGHTS, _REFUSED = "$E", "0"
_PLAIN_HTTP = frozenset({"404", "405"})
_DONE, _WAS_DONE = "1", "2"
_ASKED, _TOLD = "QueryCondition", "MailRecord"
_WRITTEN = {_DONE: "数据保存成功！", _WAS_DONE: "数据已存在！"}
_FOUND = "数据下载成功！"

#: What a record is changed to between two polls: the other one pays.
_OTHER_PAYER = {"1": "2", "2": "1"}

_XML_TYPE = "text/xml; charset=utf-8"
_FOREIGN_NAMESPACE = "http://relay.invalid/"
_PAGE = "<html><head><title>系统维护</title></head><body><h1>系统维护中，请稍后再试</h1></body></html>"
_SYSTEM_FAILURE = f"$E{write_text('系统错误，请与管理员联系')}"


@dataclass(frozen=True, slots=True)
class _Interface:
    """What a jkid stands for."""

    #: The element that holds what is asked or told, and its schema.
    root: str
    schema: str
    act: Callable[[str, JsonObject, Call], str]

    @property
    def is_write(self) -> bool:
        """Whether something is told."""
        return self.root == _TOLD


class VehicleAdminMock(PortalMock):
    """The portal. It offers each office's records, a window at a time, until they are answered, and takes write-backs.

    It answers at any path that ends in TmriOutAccess or TmriOutNewAccess, and as many servers as one likes may serve
    the same mock, so that one address is down while another answers. What breaks the contract is kept in `rejected`.

    Faults of its own. Not done: soap_fault (HTTP 200 or 500), dollar_e, html_page. Done all the same: unsure ($E),
    wrong_namespace, wrong_encoding, truncated, headless, wrong_count, broken_escape, double_escape. Of records:
    broken_item (one more, which must be refused), changed_item, nameless (one lacks its lsh, this time).
    """

    key = "vehicle_admin"
    statuses = MappingProxyType(
        {
            "1": Status.ACCEPTED,
            "2": Status.NUMBERED,
            "3": Status.COLLECTED,
            "4": Status.IN_TRANSIT,
            "5": Status.OUT_FOR_DELIVERY,
            "6": Status.DELIVERED,
            "7": Status.UNDELIVERED,
            "8": Status.RETURNING,
            "9": Status.RETURNED,
            "10": Status.CANCELLED,
            "11": Status.LOST,
        }
    )
    #: Of what is written back.
    results = MappingProxyType(
        {
            _DONE: OutcomeKind.TAKEN,
            _WAS_DONE: OutcomeKind.TAKEN,
            _REFUSED: OutcomeKind.REFUSED,
            _RIGHTS: OutcomeKind.UNKNOWN,
        }
    )
    is_polled = True
    apart = MappingProxyType({"project": "JSZ"})
    #: 公安网上车管 (contract: ems, projectId).
    carrier_settings = MappingProxyType({"ems": {"projects": {key: "GAWSCG"}}})

    def __init__(
        self,
        offices: Mapping[str, str] = DEMO_OFFICES,
        *,
        answers_in_request_namespace: bool = False,
        has_types: bool = False,
        first_id: int = 0,
        is_terse: bool = False,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        keep: int = 10_000,
    ) -> None:
        """Set the portal up; `offices` is glbm → jkxlh, ValueError where two have the same.

        It answers in its address' namespace, with `answers_in_request_namespace` in that of requests, and with
        `has_types` says of each value what it is. RECs are counted from `first_id`. With `is_terse` what is written
        is answered with a code alone.
        """
        super().__init__(plan=plan, now=now, keep=keep)
        self.answers_in_request_namespace = answers_in_request_namespace
        self.has_types = has_types
        self.first_id = first_id
        self.is_terse = is_terse
        #: (glbm, lsh) → record, all that were ever offered.
        self.records: dict[tuple[str, str], PortalRecord] = {}
        #: Write-backs that were done before and came again.
        self.repeats = 0
        #: Write-backs that say what an earlier one said, under another qqid.
        self.told_twice = 0
        self._offices = tuple(offices)
        self._by_jkxlh = {jkxlh: glbm for glbm, jkxlh in offices.items()}
        if len(self._by_jkxlh) != len(offices):
            raise ValueError("each office has a jkxlh of its own")
        self._contract = Contract(self.key)
        self._broken = broken_records()
        self._heard: list[Heard] = []
        #: qqid → the document in which it came.
        self._documents: dict[str, str] = {}
        #: What a write-back says → the qqid under which it was said first.
        self._said: dict[tuple[str, ...], str] = {}
        self._interfaces = {
            "02Y01": _Interface(_ASKED, "Mailings", self._tell_mailings),
            "02Y02": _Interface(_TOLD, "MailRecord", self._take_write),
            "02Y03": _Interface(_ASKED, "Mailing", self._tell_mailing),
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the portal that `[portals.vehicle_admin]` of a gateway's settings talks to, or the demo one."""
        section = document.get("portals", {}).get(cls.key, {})
        keys = {"offices": {each["glbm"]: each["jkxlh"] for each in section["offices"]}} if "offices" in section else {}
        return cls(**{**keys, **options})

    def settings(self) -> JsonObject:
        """Give what `[portals.vehicle_admin]` must hold to call the old service."""
        return {
            "endpoints": [f"{self.url}/trffweb/services/TmriOutAccess"],
            "service": "out",
            "xtlb": "02",
            "dwmc": DEMO_NAME,
            "offices": [{"glbm": glbm, "jkxlh": jkxlh} for jkxlh, glbm in self._by_jkxlh.items()],
        }

    # --- what the portal offers --------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Give the forty records, changed just now."""
        changed_at = f"{self.now().astimezone(_SHANGHAI):{_TIME_FORM}}"
        records = ({**record, "gxsj": changed_at} for record in sample_records())
        return [Sample(record, {f"{record['glbm']}-{record['lsh']}": 1}) for record in records]

    def hand_over(self, document: JsonObject) -> None:
        """Offer a record, well-formed or not, until it is answered; windows find it by its gxsj.

        One that was offered before is offered again, with this content. Raises UnfitError where it has no lsh, where
        its glbm is no office of this portal, or for what is no text: this wire has nothing else.
        """
        self._offer(document)

    def is_taken(self, reply: WireReply) -> bool:
        """Raise UnfitError: this portal asks nothing of a gateway, and so is answered nothing."""
        raise UnfitError("answer", f"to nothing, with HTTP {reply.status}: the portal is polled")

    def offer(self, count: int = 1, seed: int = 0, start: int = 0) -> list[str]:
        """Offer synthetic records, the offices in turn, as of now and the seconds before; their `<glbm>-<lsh>`."""
        until = self.now().astimezone(_SHANGHAI)
        offered = []
        for n, record in enumerate(new_records(count, seed=seed, start=start)):
            changed_at = until - timedelta(seconds=(count - n - 1) // _A_SECOND)
            own = {"glbm": self._offices[(start + n) % len(self._offices)], "gxsj": f"{changed_at:{_TIME_FORM}}"}
            offered.append(self._offer(record | own).ref)
        return offered

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`offer {count, seed, start}`: offer synthetic records."""
        return {"offer": self.offer}

    def _offer(self, document: JsonObject) -> PortalRecord:
        self._check_offer(document)
        glbm, lsh = document["glbm"], document["lsh"]
        with self._lock:
            record = self.records.setdefault((glbm, lsh), PortalRecord(glbm, lsh))
            record.content = dict(document)
            record.is_broken = self._breaks_contract(document)
            record.is_open, record.is_refused = True, False
            return record

    def _check_offer(self, document: JsonObject) -> None:
        for name, value in document.items():
            if not is_sayable(value, name=name):
                raise UnfitError("record", "has a member that is no element with a text")
        if not document.get("lsh"):
            raise UnfitError("record.lsh", "is missing: the record could not be told from others")
        if document.get("glbm") not in self._offices:
            raise UnfitError("record.glbm", "is no office of this portal")

    def _breaks_contract(self, record: JsonObject) -> bool:
        try:
            self._contract.check("Record", record)
        except UnfitError:
            return True
        return False

    def _tell_mailings(self, office: str, condition: JsonObject, call: Call) -> str:
        since, until = condition["kssj"], condition["jssj"]
        check_time("QueryCondition.kssj", since)
        check_time("QueryCondition.jssj", until)
        if since >= until:
            raise UnfitError("QueryCondition.jssj", "is not after kssj")
        if condition["glbm"] != office:
            raise UnfitError("QueryCondition.glbm", "is not the office whose jkxlh it is", code=_RIGHTS)
        if self.plan.draw_own(FaultKind.BROKEN_ITEM, call):
            self._offer({**next(self._broken), "glbm": office, "gxsj": since}).is_broken = True
        waiting = (
            record
            for record in self.records.values()
            if record.glbm == office and record.is_open and _is_within(since, until, record.content)
        )
        shown = [self._show(record) for record in islice(waiting, _LIMIT)]
        if shown and self.plan.draw_own(FaultKind.NAMELESS, call):
            shown[0] = {name: value for name, value in shown[0].items() if name != "lsh"}
        return self._say_found("MailingsAnswer", shown)

    def _show(self, record: PortalRecord) -> JsonObject:
        if record.times_offered and not record.is_broken and self.plan.draw_own(FaultKind.CHANGED_ITEM, record.ref):
            record.content = {**record.content, "ffr": _OTHER_PAYER[record.content["ffr"]]}
        record.times_offered += 1
        return record.content

    def _tell_mailing(self, office: str, condition: JsonObject, _: Call) -> str:
        record = self.records.get((office, condition["lsh"]))
        if record is None:
            return self._say_found("MailingAnswer", [])
        qqids = "、".join(write["qqid"] for write in record.writes)
        return self._say_found("MailingAnswer", [{**record.content, "yjzt": record.yjzt, "qqids": qqids}])

    # --- what the portal is told -------------------------------------------------------------------------------------

    def heard(self) -> list[Heard]:
        """List write-backs but for refusals and repeats; a portal_ref is `<glbm>-<lsh>`."""
        with self._lock:
            return list(self._heard)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            super().reset()
            self.repeats = self.told_twice = 0
            for memory in (self.records, self._heard, self._documents, self._said):
                memory.clear()

    def state(self) -> JsonObject:
        """Count records, what was written back of them, and what was told again."""
        with self._lock:
            records = self.records.values()
            return {
                "orders": len(records),
                "pending": sum(record.is_open for record in records),
                "taken": sum(record.is_taken for record in records),
                "refused": sum(record.is_refused for record in records),
                "writes": sum(len(record.writes) for record in records),
                "repeats": self.repeats,
                "told_twice": self.told_twice,
            }

    def report(self) -> JsonObject:
        """List each record's state, waybills by leg, states in arrival order, and qqids."""
        with self._lock:
            return {
                record.ref: {
                    "yjzt": record.yjzt,
                    "waybills": {str(leg): number for leg, number in record.waybills.items()},
                    "states": [write["yjzt"] for write in record.writes],
                    "request_ids": [write["qqid"] for write in record.writes],
                }
                for record in self.records.values()
            }

    def _respond(self, request: WireRequest) -> WireReply:
        service = request.path.rpartition("/")[2]
        if service not in SERVICES:
            raise UnfitError("path", f"ends in none of {', '.join(SERVICES)}", code="404")
        endpoint = self._endpoint_of(request)
        if request.method == "GET" and urlsplit(request.url).query.lower() == "wsdl":
            return WireReply(200, {"Content-Type": _XML_TYPE}, write_wsdl(service, endpoint=endpoint))
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="405")
        call = parse_call(request, service=service)
        return self._fail(call) or self._return(call, self._spoil(call, self._answer(call, request)), endpoint)

    def _endpoint_of(self, request: WireRequest) -> str:
        """Tell the address that was called: several servers may serve this mock."""
        parts = urlsplit(self.url)
        return f"{parts.scheme or 'http'}://{request.headers.get('Host') or parts.netloc}{request.path}"

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer a write with a code, or with $E."""
        call = parse_call(request, service=request.path.rpartition("/")[2])
        document = write_answer({"code": code, "message": "说明"}, records=None, first_id=self.first_id)
        return self._return(call, _SYSTEM_FAILURE if code == _RIGHTS else document, self._endpoint_of(request))

    def _refuse(self, error: UnfitError) -> WireReply:
        if error.code in _PLAIN_HTTP:
            return super()._refuse(error)
        return _xml_reply(500, write_fault(f"{error.where}: {error.reason}", code="Client"))

    def _fail(self, call: Call) -> WireReply | None:
        """Answer with what is no answer, where the plan wants it: nothing is done."""
        fault = self.plan.draw_own(FaultKind.SOAP_FAULT, call)
        if fault is not None:
            # A status that was rolled is any of 5xx; this fault knows two.
            status = 500 if fault.status == 500 else 200
            return _xml_reply(status, write_fault("java.lang.NullPointerException", code="Server.userException"))
        if self.plan.draw_own(FaultKind.HTML_PAGE, call):
            return WireReply(200, {"Content-Type": "text/html; charset=utf-8"}, _PAGE.encode())
        return None

    def _answer(self, call: Call, request: WireRequest) -> str:
        if self.plan.draw_own(FaultKind.DOLLAR_E, call):
            return _SYSTEM_FAILURE
        try:
            answer = self._act(call)
        except UnfitError as error:
            code = error.code if error.code == _RIGHTS else _REFUSED
            self.rejected.append(Rejection(request, error.where, error.reason, code))
            return self._say_no(call, code, f"{error.where}: {error.reason}")
        return _SYSTEM_FAILURE if self.plan.draw_own(FaultKind.UNSURE, call) else answer

    def _act(self, call: Call) -> str:
        interface = self._interfaces.get(call.jkid)
        if interface is None:
            raise UnfitError("jkid", f"is none of {', '.join(self._interfaces)}", code=_RIGHTS)
        if call.is_write != interface.is_write:
            raise UnfitError("operation", f"does not go with {call.jkid}", code=_RIGHTS)
        if not call.arguments["xtlb"]:
            raise UnfitError("xtlb", "is missing", code=_RIGHTS)
        office = self._by_jkxlh.get(call.arguments["jkxlh"])
        if office is None:
            raise UnfitError("jkxlh", "is no office's", code=_RIGHTS)
        members = parse_document(call.arguments["UTF8XmlDoc"], wanted=interface.root)
        self._contract.check(interface.schema, members, where=interface.root, code=_REFUSED)
        return interface.act(office, members, call)

    def _say_found(self, schema: str, records: list[JsonObject]) -> str:
        head = {"code": _DONE, "message": _FOUND, "rownum": str(len(records))}
        return self._say(schema, head, records)

    def _say_no(self, call: Call, code: str, message: str) -> str:
        if code == _RIGHTS:
            return f"{_RIGHTS}{write_text(message)}"
        head = {"code": code, "message": message}
        return self._say("Refusal", head) if call.is_write else self._say("Refusal", {**head, "rownum": "0"}, [])

    def _say(self, schema: str, head: JsonObject, records: list[JsonObject] | None = None) -> str:
        document: JsonObject = {"head": head} if records is None else {"head": head, "body": records}
        self._contract.check_own(schema, document)
        return write_answer(head, records=records, first_id=self.first_id)

    def _spoil(self, call: Call, answer: str) -> str:
        """Break a document as the plan wants it; a fault that would change nothing of this one does not happen."""
        if answer.startswith(_RIGHTS):
            return answer
        for kind, spoil in _SPOILERS.items():
            spoiled = spoil(answer)
            if spoiled != answer and self.plan.draw_own(kind, call):
                return spoiled
        return answer

    def _return(self, call: Call, answer: str, endpoint: str) -> WireReply:
        namespace = REQUEST_NAMESPACE if self.answers_in_request_namespace else endpoint
        if self.plan.draw_own(FaultKind.WRONG_NAMESPACE, call):
            namespace = _FOREIGN_NAMESPACE
        opened = unquote(answer)
        is_wrong = not opened.isascii() and self.plan.draw_own(FaultKind.WRONG_ENCODING, call)
        said, encoding = (opened, "gb18030") if is_wrong else (answer, "utf-8")
        envelope = write_envelope(said, operation=call.operation, namespace=namespace, has_types=self.has_types)
        return _xml_reply(200, envelope, encoding)

    def _take_write(self, office: str, write: JsonObject, call: Call) -> str:
        record = self.records.get((office, write["lsh"]))
        if record is None:
            raise UnfitError("MailRecord.lsh", "is no record of this office")
        code = _DONE if self._take_once(record, write, call.arguments["UTF8XmlDoc"]) else _WAS_DONE
        head = {"code": code} if self.is_terse else {"code": code, "message": _WRITTEN[code]}
        return self._say("WriteAnswer", head)

    def _take_once(self, record: PortalRecord, write: JsonObject, document: str) -> bool:
        before = self._documents.get(write["qqid"])
        if before not in {None, document}:
            raise UnfitError("MailRecord.qqid", "was used before with another document")
        if before is not None:
            self.repeats += 1
            return False
        self._count_told_twice(record, write)
        is_new = take_write(record, write)
        self._documents[write["qqid"]] = document
        self.repeats += not is_new
        if is_new and not record.is_refused:
            number, leg = write.get("yjdh", ""), leg_of(write)
            self._heard.append(Heard(record.ref, write["qqid"], write["yjzt"], number, leg, body=write))
        return is_new

    def _count_told_twice(self, record: PortalRecord, write: JsonObject) -> None:
        if says_what_happened(write):
            said = (record.ref, str(leg_of(write)), write["yjzt"], write["czsj"])
            self.told_twice += self._said.setdefault(said, write["qqid"]) != write["qqid"]


def sample_records() -> list[JsonObject]:
    """Read the contract's forty sample records."""
    records: list[JsonObject] = load_data("vehicle_admin_records.json")
    return records


def _xml_reply(status: int, text: str, encoding: str = "utf-8") -> WireReply:
    return WireReply(status, {"Content-Type": _XML_TYPE}, text.encode(encoding))


def _is_within(since: str, until: str, record: JsonObject) -> bool:
    """Tell whether a record is in a window; one whose time is none would never come, and so is in all."""
    changed_at = record.get("gxsj", "")
    return not _TIME.fullmatch(changed_at) or since <= changed_at < until


def _cut_escape(answer: str) -> str:
    """Cut the last digit of the last escape."""
    head, escape, tail = answer.rpartition("%")
    return f"{head}{escape}{tail[:1]}{tail[2:]}"


def _count_one_more(answer: str) -> str:
    return re.sub(r"(?<=<rownum>)\d+", lambda count: str(int(count[0]) + 1), answer)


#: How the document of an answer is broken.
_SPOILERS: Mapping[FaultKind, Callable[[str], str]] = {
    FaultKind.TRUNCATED: lambda answer: answer[: len(answer) // 2],
    FaultKind.HEADLESS: lambda answer: re.sub(r"<head>.*</head>", "", answer),
    FaultKind.WRONG_COUNT: _count_one_more,
    FaultKind.BROKEN_ESCAPE: _cut_escape,
    FaultKind.DOUBLE_ESCAPE: lambda answer: answer.replace("%", "%25"),
}
