"""What stays inside: people's data, secrets, and the adapter itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from govpost.adapters.base import DeliveryKind, Owed
from govpost.schemas import Denied, OrderContent, Party, Refuse, WireReply
from govpost.schemas.errors import ConfigurationError, GovpostError
from govpost.tests.conformance.bench import NOW, Bench, always
from govpost.tests.conformance.checks.scopes import EVERYBODY
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.specimens import full_order
from govpost.tests.conformance.stories import JOURNEYS, at_each_call, begin
from govpost.tests.conformance.subject import Subject
from govpost.tests.conformance.variations import leaves, name_of, retold, with_value
from govpost.tests.conformance.watch import overheard, watched

__all__ = ["calls_do_no_io", "personal_data_stays_hidden", "secrets_stay_hidden", "settings_are_checked"]

#: Stands where personal data may stand, and belongs to nobody.
_PHONE = "13912345678"
_SOMEBODY = f"机密甲{_PHONE}乙"

#: What an adapter lets people see, and where.
_Shown = Iterator[tuple[str, str]]


@check(Level.SILVER, EVERYBODY, is_essential=True)
def personal_data_stays_hidden(subject: Subject) -> Iterator[str]:
    """No name, phone, address or number of a person is in a repr, an error, a reason, a code, a URL or a log."""
    secret = {_PHONE, _SOMEBODY}.union(
        *(_personal(sample.order) for sample in subject.samples), _personal(full_order())
    )
    with overheard() as heard:
        shown = [*_shown_by_reading(subject), *_shown_by_telling(subject)]
    for where, text in (*shown, ("logs and output", heard.getvalue())):
        if any(value in text for value in secret):
            yield f"{where}: shows personal data"


def _personal(order: OrderContent) -> set[str]:
    """Collect the personal values of an order, but for those that it also has where they are nobody's.

    An organization's name is nobody's, though the mail is for it.
    """
    parties = (order.sender, order.recipient)
    people = {value for party in parties for value in _of_person(party) if value != party.organization}
    public = order.model_dump(mode="json", exclude={"sender", "recipient"})
    return people - {value for _, value in leaves(public) if isinstance(value, str)} - {None}


def _of_person(party: Party) -> tuple[str, ...]:
    number = (party.id_document.no,) if party.id_document else ()
    return (party.name, party.phone, party.address.street, *number)


def _shown_by_reading(subject: Subject) -> _Shown:
    """Read every sample, and then with somebody's data in each place."""
    for sample in subject.samples if subject.hands_over else ():
        bench = Bench(subject)
        if subject.receives:
            yield f"{sample.name}, read", repr(bench.read(bench.hand_over(sample.document)))
        yield f"{sample.name}, taken", repr(bench.take(sample.document))
        for path, _ in leaves(sample.document):
            refused = Bench(subject).take(with_value(sample.document, path, _SOMEBODY))
            if isinstance(refused, Denied | Refuse):
                yield f"{sample.name}, {name_of(path)} refused", f"{refused!r} {refused.reason} {refused.field}"


def _shown_by_telling(subject: Subject) -> _Shown:
    """Tell things, get somebody's data in the answer, and render what cannot be said."""
    if not (subject.tells or subject.carries):
        return
    for moment in at_each_call(subject):
        yield moment.what, f"{moment.document!r} {moment.owed!r}"
        body = retold(moment.good.body, _SOMEBODY) or _SOMEBODY.encode()
        for status in (200, 400, 500):
            talk = moment.send(door=always(WireReply(status, moment.good.headers, body)))
            yield f"{moment.what}, HTTP {status}", f"{talk.error!r} {talk.error} {talk.outcome!r}"
            yield f"{moment.what}, request", " ".join(f"{request.url} {request!r}" for request in talk.requests)
    yield "what cannot be said", _unsayable(subject)


def _unsayable(subject: Subject) -> str:
    """Try to have an order rendered that says everything; give what the error shows."""
    bench = Bench(subject)
    errors = []
    for kind in DeliveryKind:
        try:
            bench.adapter.render(Owed("01HGGY4B5R0000000000000CD1", kind, full_order(), NOW))
        except GovpostError as error:
            errors.append(f"{error!r} {error}")
    return " ".join(errors)


@check(Level.SILVER, EVERYBODY, is_essential=True)
def secrets_stay_hidden(subject: Subject) -> Iterator[str]:
    """A setting that is a secret is in no repr and no complaint."""
    bench = Bench(subject)
    settings = bench.mock.settings()
    checked = subject.adapter_type.factory.Settings.model_validate(settings)
    texts = {"the settings' repr": repr(checked), "the adapter's repr": f"{bench.adapter!r} {bench.adapter}"}
    for name in subject.manifest.secrets:
        texts[f"the complaint about {name}"] = _complaint(subject, {**settings, name: _SOMEBODY}) or ""
    secret = {_SOMEBODY, *_secrets_in(checked)}
    secret |= {str(settings[name]) for name in subject.manifest.secrets if settings.get(name)}
    yield from (f"{where}: shows a secret" for where, text in texts.items() if any(value in text for value in secret))


def _secrets_in(value: Any) -> Iterator[str]:
    """List every secret that settings hold, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _secrets_in(tuple(vars(value).values()))
    elif isinstance(value, Mapping):
        yield from _secrets_in(tuple(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _secrets_in(each)


@check(Level.SILVER, EVERYBODY)
def settings_are_checked(subject: Subject) -> Iterator[str]:
    """A setting that it doesn't know, a missing secret, and a plain http address elsewhere are refused by name."""
    settings = Bench(subject).mock.settings()
    wrong: list[tuple[str, dict[str, Any]]] = [("x_unheard_of", {**settings, "x_unheard_of": 1})]
    wrong += [(name, {**settings, name: ""}) for name in subject.manifest.secrets if name in settings]
    addresses = subject.adapter_type.factory.Settings.addresses
    wrong += [(name, {**settings, name: _plain(settings.get(name))}) for name in addresses]
    for name, document in wrong:
        complaint = _complaint(subject, document)
        if complaint is None:
            yield f"{name}: accepted"
        elif name not in complaint:
            yield f"{name}: refused, and not by its name"


def _plain(address: Any) -> Any:
    """Give an address that is not encrypted, in a list where there may be several."""
    return ["http://portal.example/x"] if isinstance(address, list | tuple) else "http://portal.example/x"


def _complaint(subject: Subject, settings: dict[str, Any]) -> str | None:
    try:
        subject.build(settings)
    except ConfigurationError as error:
        return f"{error!r} {error}"
    return None


@check(Level.SILVER, EVERYBODY, is_essential=True)
def calls_do_no_io(subject: Subject) -> Iterator[str]:
    """While orders are read and things are told, the adapter opens no socket, starts no process and writes no file."""
    with watched() as reached:
        for sample in subject.samples if subject.hands_over else ():
            Bench(subject).take(sample.document)
        for journey in JOURNEYS if subject.tells or subject.carries else ():
            story = begin(Bench(subject))
            for owed in story.owe_all(journey):
                story.tell(owed)
                if subject.manifest.has_probe:
                    story.bench.probe(owed)
    yield from sorted(set(reached))
