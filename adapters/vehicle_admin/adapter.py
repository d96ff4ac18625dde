"""车管 便民通 is asked office by office for mailings, and told what becomes of them (contract: vehicle_admin)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

from govpost.adapters.base import AdapterSettings, Document, Owed, OwedRefusal, Page
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols.shanghai import DASHED, SHANGHAI
from govpost.adapters.protocols.tmri import Answer, build_document
from govpost.adapters.sentences import REASONS, describe_update
from govpost.adapters.vehicle_admin.calls import SERVICES, OutAccess, judged
from govpost.adapters.vehicle_admin.codes import QUERY_CODES, STATES, WRITE_CODES
from govpost.adapters.vehicle_admin.records import note_unread, read_record, split_ref
from govpost.adapters.vehicle_admin.rounds import Round, Window
from govpost.adapters.vehicle_admin.settings import VehicleAdminSettings, VehicleOffice, vehicle_offices
from govpost.schemas import (
    Conversation,
    Direction,
    Outcome,
    OutcomeKind,
    Place,
    Presence,
    Reason,
    Refuse,
    Source,
    Status,
    Update,
)
from govpost.schemas.errors import BreakageError, UnsupportedFeatureError

__all__ = ["MOST_RECORDS", "VehicleAdmin"]

_QUERY, _WRITE = "02Y01", "02Y02"

#: So many records of one answer mean that there may be more.
MOST_RECORDS = 100

#: Most characters of wtyy.
_LONGEST_REASON = 100

#: What speaks of the portal as a whole, so that asking for another office is no use.
_OF_ALL = frozenset({OutcomeKind.AUTH, OutcomeKind.MISCONFIGURED, OutcomeKind.BUSY})

_NOT_TAKEN = "邮政不能接单"

#: What is written back is decoded before it is parsed, or after: then these would be markup.
_NO_MARKUP = str.maketrans({"&": "＆", "<": "＜", ">": "＞"})


class VehicleAdmin:
    """The portal 车管 便民通: polled, informed."""

    Settings: ClassVar[type[AdapterSettings]] = VehicleAdminSettings

    def __init__(self, settings: VehicleAdminSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self.poll_every_s = settings.poll_every_s
        self._offices: Mapping[str, VehicleOffice] = vehicle_offices(settings)
        self._since = _seconds(datetime(settings.since.year, settings.since.month, settings.since.day, tzinfo=SHANGHAI))
        service = SERVICES[settings.service]
        said = {name: getattr(settings, name) for name in service.said}
        self._access = OutAccess(service, settings.endpoints, said)

    # --- What it hands over ---

    def poll(self, cursor: str, source: Source) -> Conversation[Page | Outcome]:
        """Ask the office whose turn it is; a page is one answer.

        An office that fails does not keep the others waiting: the next one is asked. An Outcome says that all failed,
        or those alone that have failed before.
        """
        now = _seconds(source.now())
        round_ = Round.resume(cursor, tuple(self._offices), now=now, since=self._since, every_s=self.poll_every_s)
        failures: dict[str, Outcome] = {}
        lost = 0
        for glbm in round_.turn:
            try:
                answer = yield from self._ask(glbm, round_.window(glbm), source)
            except BreakageError as error:
                # One lost answer may lie in what was asked; a second one, or a dead line, does not.
                lost += 1
                if lost > 1 or error.outcome.kind is OutcomeKind.NOT_SENT:
                    raise
                answer = error.outcome
            if isinstance(answer, Answer):
                now = _seconds(source.now())
                return self._page(glbm, answer, round_.failing(tuple(failures), now=now), now=now)
            if answer.kind in _OF_ALL:
                return answer
            failures[glbm] = answer
        return self._nothing(failures, round_, now=_seconds(source.now()))

    def refuse(self, owed: OwedRefusal) -> Document:
        """Make the write-back that gives a record back.

        Raises UnsupportedFeatureError for what has no lsh to be written back under.
        """
        glbm, lsh = self._address(owed.portal_ref)
        values = {
            "lsh": lsh,
            "qqid": owed.delivery_id,
            "yjdh": "",
            "yjzt": STATES.encode(Status.CANCELLED),
            "czsj": DASHED.encode(owed.created_at),
            "czms": _NOT_TAKEN,
            "wtyy": owed.reason[:_LONGEST_REASON],
        }
        return _document(glbm, values, owed.delivery_id)

    def _ask(self, glbm: str, window: Window, source: Source) -> Conversation[Answer | Outcome]:
        """Ask an office for its records of a window; an Outcome where it gives none."""
        document = build_document("QueryCondition", _condition(glbm, window))
        jkxlh = self._offices[glbm].jkxlh.get_secret_value()
        answer = yield from self._access.query(_QUERY, document, jkxlh=jkxlh, source=source)
        if isinstance(answer, Outcome):
            return answer
        outcome = judged(answer, QUERY_CODES)
        return answer if outcome.kind is OutcomeKind.TAKEN else outcome

    def _page(self, glbm: str, answer: Answer, round_: Round, *, now: int) -> Page:
        window, is_full = round_.window(glbm), _is_full(answer)
        commands: list[Place | Refuse] = [
            read_record(record, self._offices[glbm], offices=self._offices) for record in answer.records
        ]
        # A wrong count alone says nothing of what lies beyond; it too is asked again with the next round.
        if window.is_one_second and len(answer.records) >= MOST_RECORDS:
            commands.append(note_unread(glbm, _condition(glbm, window)))
        after = round_.answered(glbm, list(_times(answer)), is_full=is_full, now=now)
        return Page(tuple(commands), after.cursor, after.has_more)

    def _nothing(self, failures: Mapping[str, Outcome], round_: Round, *, now: int) -> Page | Outcome:
        """Say that nobody answered; where this is news of some offices alone, note it and go on."""
        glbm, outcome = next(iter(failures.items()))
        if len(failures) == len(self._offices):
            return outcome
        if not round_.left:
            return replace(outcome, code=f"{glbm}: {outcome.code}")
        after = round_.failing(tuple(failures), now=now)
        return Page((), after.cursor, after.has_more)

    # --- What it is told ---

    def render(self, owed: Owed) -> Document:
        """Make a write-back.

        Raises UnsupportedFeatureError for anything but an update with a yjzt, and for an order whose office is not in
        the settings any more.
        """
        update = owed.update
        if update is None:
            raise UnsupportedFeatureError("kind", "this portal is told updates only")
        if update.status not in STATES.theirs:
            raise UnsupportedFeatureError("status", "this portal has no yjzt for it")
        glbm, lsh = self._address(owed.order.portal_ref)
        values = {"lsh": lsh, "qqid": owed.delivery_id, **_update_values(update)}
        if owed.order.direction is Direction.ROUND_TRIP:
            values["cs"] = str(update.leg)
        return _document(glbm, values, owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Write one document back after the other."""
        outcomes = []
        for document in documents:
            outcome = yield from self._write(document, source)
            outcomes.append(outcome)
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002 - the role's signature
        """Ask nothing: what may have arrived is written again under its qqid (the manifest says so)."""
        yield from ()
        return Presence.CANNOT_TELL

    def _write(self, document: Document, source: Source) -> Conversation[Outcome]:
        jkid, _, glbm = document.call.partition(" ")
        office = self._offices.get(glbm)
        if office is None:
            return Outcome(OutcomeKind.REFUSED, code=f"office {glbm} is not in the settings")
        jkxlh = office.jkxlh.get_secret_value()
        answer = yield from self._access.write(jkid, document.body, jkxlh=jkxlh, source=source)
        return answer if isinstance(answer, Outcome) else judged(answer, WRITE_CODES)

    def _address(self, portal_ref: str) -> tuple[str, str]:
        """Find the office and the lsh that a portal_ref means."""
        named = split_ref(portal_ref)
        if named is None:
            raise UnsupportedFeatureError("portal_ref", "there is no lsh that could be written back to")
        if named[0] not in self._offices:
            raise UnsupportedFeatureError("portal_ref", f"office {named[0]} is not in the settings")
        return named


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _condition(glbm: str, window: Window) -> dict[str, str]:
    start, end = (DASHED.encode(datetime.fromtimestamp(second, UTC)) for second in window)
    return {"glbm": glbm, "kssj": start, "jssj": end, "yjzt": "0"}


def _is_full(answer: Answer) -> bool:
    """Tell whether there may be more than came: as many as there can be, or fewer than it says there are."""
    came = len(answer.records)
    return came >= MOST_RECORDS or (answer.rownum or 0) > came


def _times(answer: Answer) -> Iterator[int]:
    """List when the records were last changed, where they say so."""
    for record in answer.records:
        try:
            yield _seconds(DASHED.decode(record.fields.get("gxsj")))
        except ValueError:
            continue


def _document(glbm: str, values: Mapping[str, str], delivery_id: str) -> Document:
    """Render a write-back. Its office stands in the call's name: it decides the jkxlh, which is no part of the body."""
    said = {name: value.translate(_NO_MARKUP) for name, value in values.items()}
    return Document(f"{_WRITE} {glbm}", build_document("MailRecord", said), delivery_id)


def _update_values(update: Update) -> dict[str, str]:
    """Say an update: a correction has the state the order went back to."""
    reason = REASONS[update.event.reason or Reason.OTHER] if update.status is Status.UNDELIVERED else ""
    return {
        "yjdh": update.waybill_no or "",
        "yjzt": STATES.encode(update.status),
        "czsj": DASHED.encode(update.event.occurred_at),
        "czms": describe_update(update),
        "wtyy": reason,
    }
