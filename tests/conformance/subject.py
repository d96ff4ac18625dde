"""What is under test: an adapter by its entry point, its far side, its contract and its samples."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from govpost.adapters.base import Adapter
from govpost.adapters.fields import Field
from govpost.adapters.manifest import Manifest, Role
from govpost.adapters.registry import GROUP, AdapterType, load_adapter
from govpost.mocks.base import Mock
from govpost.mocks.registry import find_counterpart
from govpost.schemas import Order, OrderContent

__all__ = ["Contract", "Finding", "Sample", "Subject", "load_subject"]

#: Root member of an openapi.json: which of its schemas the samples fit; one name, or one for each beginning of a name.
SAMPLES_MEMBER = "x-govpost-samples"


class Finding(Exception):  # noqa: N818 - no fault of a program, but what a check found
    """End a check with what is wrong."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A pair: a document as it stands on the wire, opened, and the order that it means."""

    name: str
    document: Any = field(repr=False)
    order: OrderContent = field(repr=False)

    def numbered(self, number: int) -> "Sample":
        """Make another order of it: the end of the portal's reference replaced, and of the value that it ends in."""
        ref = self.order.portal_ref
        order = self.order.model_copy(update={"portal_ref": _numbered(ref, number)})
        ending = max((text for text in _texts(self.document) if ref.endswith(text)), key=len, default=ref)
        document = _replaced(self.document, ending, _numbered(ending, number))
        return Sample(f"{self.name}#{number}", document, order)


def _numbered(text: str, number: int) -> str:
    return f"{text[:-3]}{900 + number}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= _SHORTEST_REF:
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


#: A value of fewer characters may end like a reference by chance.
_SHORTEST_REF = 4


def _replaced(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, before, after) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, before, after) for item in value]
    return after if value == before else value


class Contract:
    """The schemas of a system's openapi.json."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document.get("components", {})
        self._names = document.get(SAMPLES_MEMBER, "")

    def schema_of(self, sample: str) -> str:
        """Name the schema that a sample fits; "" where the contract does not say."""
        if isinstance(self._names, str):
            return self._names
        return next((schema for beginning, schema in self._names.items() if sample.startswith(beginning)), "")

    def unfit(self, schema: str, document: Any) -> str | None:
        """Say where and why a document does not fit a schema; None where it does. Values are not shown."""
        if schema not in self._components.get("schemas", {}):
            return f"the contract has no schema {schema!r}"
        root = {"$ref": f"#/components/schemas/{schema}", "components": self._components}
        error = best_match(Draft202012Validator(root).iter_errors(document))
        return None if error is None else f"{error.json_path} breaks the rule {error.validator!r}"

    def codes(self, schema: str, wire_path: str) -> frozenset[str] | None:
        """List the codes that the contract allows at a wire path (`a.b[].c`); None where it lists none there."""
        codes = self.rules(schema, wire_path).get("enum")
        return None if codes is None else frozenset(codes)

    def rules(self, schema: str, wire_path: str) -> Mapping[str, Any]:
        """Give the rules (JSON Schema) for what stands at a wire path; none where the contract has no such place."""
        found: list[Mapping[str, Any]] = [{"$ref": f"#/components/schemas/{schema}"}]
        for name in wire_path.split("."):
            found = [item for node in found for item in self._member(node, name)]
        return {rule: value for node in map(self._opened, found) for rule, value in node.items()}

    def _member(self, node: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
        opened = self._opened(node)
        member = opened.get("properties", {}).get(name.removesuffix("[]"))
        if member is not None:
            yield self._opened(member).get("items", {}) if name.endswith("[]") else member
        for part in opened.get("allOf", ()):
            yield from self._member(part, name)

    def _opened(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            node = self._components["schemas"][node["$ref"].rpartition("/")[2]]
        return node


@dataclass(frozen=True)
class Subject:
    """An adapter with all that the kit knows of it."""

    key: str
    adapter_type: AdapterType
    #: Where the adapter's class stands; its package holds manifest, tables and, for third parties, the contract.
    entry: EntryPoint
    mock_type: type[Mock] | None
    contract: Contract | None
    samples: tuple[Sample, ...]

    @property
    def manifest(self) -> Manifest:
        """What the adapter says of itself."""
        return self.adapter_type.manifest

    @property
    def package(self) -> str:
        """The adapter's package."""
        return self.adapter_type.factory.__module__.rpartition(".")[0]

    @property
    def carries(self) -> bool:
        """Whether it is a backend."""
        return Role.CARRIES in self.manifest.roles

    @property
    def tells(self) -> bool:
        """Whether it is a portal that is told things."""
        return Role.INFORMED in self.manifest.roles

    @property
    def hands_over(self) -> bool:
        """Whether it is a portal from which orders come."""
        return not self.carries and bool(self.manifest.roles & {Role.RECEIVES, Role.POLLED})

    @property
    def is_polled(self) -> bool:
        """Whether it has to be asked for orders."""
        return Role.POLLED in self.manifest.roles

    @property
    def receives(self) -> bool:
        """Whether it calls us."""
        return Role.RECEIVES in self.manifest.roles

    def does(self, method: str) -> bool:
        """Tell whether the adapter has a method."""
        return callable(getattr(self.adapter_type.factory, method, None))

    def build(self, settings: Mapping[str, Any]) -> Any:
        """Construct the adapter as a gateway does; the roles it plays are what may be called."""
        adapter: Adapter = self.adapter_type.build(settings, section=self.key)
        return adapter

    @cached_property
    def fields(self) -> tuple[Field, ...] | None:
        """The table of its fields (`<package>.fields.FIELDS`), where it has one."""
        table: tuple[Field, ...] | None = self._table("FIELDS")
        return table

    @cached_property
    def unsaid(self) -> tuple[str, ...]:
        """Order paths that its contract has no need of (`<package>.fields.UNSAID`), left out by name."""
        return tuple(self._table("UNSAID") or ())

    def _table(self, name: str) -> Any:
        module = f"{self.package}.fields"
        return getattr(import_module(module), name, None) if find_spec(module) else None


def load_subject(key: str) -> Subject:
    """Find an adapter and all that belongs to it; raises ConfigurationError where there is none of that key."""
    adapter_type = load_adapter(key)
    *_, entry = entry_points(group=GROUP, name=key)
    folder = _wire_folder(key, adapter_type.factory.__module__.rpartition(".")[0])
    contract = folder / "openapi.json"
    return Subject(
        key=key,
        adapter_type=adapter_type,
        entry=entry,
        mock_type=find_counterpart(key),
        contract=Contract(_load(contract)) if contract.is_file() else None,
        samples=tuple(_load_samples(folder / "samples", adapter_type.manifest)),
    )


def _wire_folder(key: str, package: str) -> Traversable:
    """Find contract and samples: in the adapter's own package, or with ours."""
    own = files(package) / "wire"
    return own if own.is_dir() else files("govpost.schemas") / "wire" / key


def _load_samples(folder: Traversable, manifest: Manifest) -> Iterator[Sample]:
    if not folder.is_dir():
        return
    model = Order if Role.CARRIES in manifest.roles else OrderContent
    for wire in sorted(folder.iterdir(), key=lambda each: each.name):
        name, is_wire, _ = wire.name.partition(".wire.json")
        order = folder / f"{name}.order.json"
        if is_wire and order.is_file():
            yield Sample(name, _load(wire), model.model_validate(_load(order)))


def _load(file: Traversable) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
