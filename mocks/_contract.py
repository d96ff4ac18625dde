"""Hold documents to the contract files under `schemas/wire/<key>/`: OpenAPI 3.1 (its schemas: JSON Schema 2020-12)."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from govpost.mocks.base import UnfitError

__all__ = ["Contract"]

#: What a broken rule says of the value; jsonschema's own messages quote it.
_REASONS = {
    "type": "is not of type {}",
    "enum": "is none of {}",
    "const": "is not {}",
    "pattern": "does not match {}",
    "minLength": "is shorter than {}",
    "maxLength": "is longer than {}",
    "minItems": "has fewer than {} items",
    "maxItems": "has more than {} items",
    "minimum": "is less than {}",
    "maximum": "is more than {}",
    # Of a member whose schema is {"not": {}}; jsonschema gives no path for one that is `false`.
    "not": "is not allowed here",
}


class Contract:
    """The named schemas and headers of one system's contract (`components` of its openapi.json)."""

    def __init__(self, key: str) -> None:
        path = files("govpost.schemas").joinpath("wire", key, "openapi.json")
        self._components = json.loads(path.read_text(encoding="utf-8"))["components"]
        self._validator = cache(self._build)

    def check(self, name: str, document: Any, *, where: str = "body", code: str = "400") -> None:
        """Raise UnfitError, with the path and the rule but never a value, where a document does not fit a schema."""
        _hold(self._validator(name), document, where=where, code=code)

    def check_headers(self, headers: Mapping[str, str], *, code: str = "400") -> None:
        """Raise UnfitError where one of the contract's header parameters is missing or does not fit."""
        for parameter in self._components["parameters"].values():
            where = f"header {parameter['name']}"
            if parameter["name"] in headers:
                _hold(Draft202012Validator(parameter["schema"]), headers[parameter["name"]], where=where, code=code)
            elif parameter["required"]:
                raise UnfitError(where, "is missing", code=code)

    def check_own(self, name: str, document: Any) -> None:
        """Raise ValueError where what a mock itself is about to say does not fit: that is no caller's fault."""
        try:
            self.check(name, document, where=name)
        except UnfitError as error:
            raise ValueError(f"the mock breaks its own contract: {error}") from error

    def _build(self, name: str) -> Draft202012Validator:
        if name not in self._components["schemas"]:
            raise KeyError(name)
        return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": self._components})


def _hold(validator: Draft202012Validator, document: Any, *, where: str, code: str) -> None:
    error = best_match(validator.iter_errors(document))
    if error is not None:
        raise UnfitError(_place(where, error), _reason(error), code=code)


def _place(where: str, error: ValidationError) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path]
    return where + "".join(parts) + _member(error)


def _member(error: ValidationError) -> str:
    """Name the member that is missing or unknown: its object is where jsonschema points."""
    wanted: Any = error.validator_value
    schema: Any = error.schema
    match error.validator, error.instance:
        case "required", dict(instance):
            return "." + str(next(name for name in wanted if name not in instance))
        case (("additionalProperties" | "unevaluatedProperties"), dict(instance)):
            known = schema.get("properties", {})
            return "." + min((name for name in instance if name not in known), default="?")
    return ""


def _reason(error: ValidationError) -> str:
    match error.validator:
        case "required":
            return "is missing"
        case "additionalProperties" | "unevaluatedProperties":
            return "is not in the contract"
    rule = _REASONS.get(str(error.validator))
    return rule.format(error.validator_value) if rule else f"breaks the contract's rule {error.validator!r}"
