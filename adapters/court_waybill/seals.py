"""Who says it, and when: SM2 over the time and the body's bytes, the same way in both directions and on answers."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey, der_from_raw, raw_from_der
from govpost.schemas import Denied, Problem

__all__ = ["Seals"]

_TOLERANCE_MS = 300_000
_TIMESTAMP = re.compile(r"[0-9]{1,15}")


class Seals:
    """Our key under its name, and the court's under theirs. Shared by threads."""

    def __init__(self, *, sign_cert: str, sign_key: str, certs: Mapping[str, str]) -> None:
        """Take keys in hex; raises ValueError for what is none."""
        self._sign_cert = sign_cert
        self._sign_key = SigningKey(sign_key)
        self._certs = {name: VerifyingKey(key) for name, key in certs.items()}

    def sign(self, body: bytes, *, at: datetime) -> dict[str, str]:
        """Build the headers of a request or an answer; other ones each time."""
        timestamp = str(_unix_ms(at))
        signature = der_from_raw(self._sign_key.sign(_signed(timestamp, body)))
        return {
            "X-Cert-Id": self._sign_cert,
            "X-Timestamp": timestamp,
            "X-Signature": b64encode(signature).decode(),
        }

    def denied(self, headers: Mapping[str, str], body: bytes, *, at: datetime) -> Denied | None:
        """Say what is wrong with the seal of a request or an answer; None where it holds."""
        timestamp = headers.get("X-Timestamp", "")
        key = self._certs.get(headers.get("X-Cert-Id", ""))
        if key is None:
            return Denied(Problem.SIGNATURE, "X-Cert-Id is missing or not known")
        signature = _read_signature(headers.get("X-Signature", ""))
        if not _TIMESTAMP.fullmatch(timestamp) or not key.verify(signature, _signed(timestamp, body)):
            return Denied(Problem.SIGNATURE, "X-Signature does not fit X-Timestamp and the body")
        if abs(int(timestamp) - _unix_ms(at)) > _TOLERANCE_MS:
            return Denied(Problem.TIMESTAMP, "X-Timestamp is not Unix milliseconds within 300 s of now")
        return None


def _signed(timestamp: str, body: bytes) -> bytes:
    return timestamp.encode() + b"\n" + body


def _read_signature(value: str) -> bytes:
    """Read the raw signature; what is none fits nothing."""
    try:
        return raw_from_der(b64decode(value, validate=True))
    except ValueError:
        return b""


def _unix_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
