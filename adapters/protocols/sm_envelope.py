"""The SM envelope that national platforms exchange: content under SM4-ECB, signed with SM2, both ways, answers too.

An envelope is not trusted because it could be read. Whoever reads one asks in turn: is it for us (`app_code`), is it
the other side's (`Envelopes.is_authentic`), is it of now (`timestamp`), and only then what is in it (`Envelopes.open`).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from govpost.adapters.protocols import sm
from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey
from govpost.schemas.documents import JsonObject, parse_json_object
from govpost.schemas.errors import MappingError, UnreadableError

__all__ = ["Envelope", "Envelopes", "read_cipher_key", "read_envelope"]

#: The wire's members, in its order, and ours.
_MEMBERS = {
    "appCode": "app_code",
    "version": "version",
    "encType": "enc_type",
    "signType": "sign_type",
    "timestamp": "timestamp",
    "reqId": "req_id",
    "encData": "enc_data",
    "signData": "sign_data",
}
#: What is signed: all but the signature, by name.
_SIGNED = sorted(_MEMBERS.items() - {("signData", "sign_data")})

#: What an envelope of ours says of itself, and one of theirs must.
_VERSION, _ENC_TYPE, _SIGN_TYPE = "1.0.0", "SM4", "SM2"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope; a member that it lacks, or that is no text, is empty."""

    app_code: str
    #: Unix milliseconds.
    timestamp: str
    req_id: str
    #: SM4-ECB in hex.
    enc_data: str = field(repr=False)
    #: Base64.
    sign_data: str = field(default="", repr=False)
    version: str = _VERSION
    enc_type: str = _ENC_TYPE
    sign_type: str = _SIGN_TYPE

    @property
    def signed_text(self) -> bytes:
        """What is signed: `appCode=…&encData=…` and so on, names sorted, values as they are."""
        return "&".join(f"{theirs}={getattr(self, ours)}" for theirs, ours in _SIGNED).encode()

    def dump(self) -> bytes:
        """Write the envelope as it goes on the wire."""
        return json.dumps({theirs: getattr(self, ours) for theirs, ours in _MEMBERS.items()}).encode()


def read_envelope(body: bytes) -> Envelope:
    """Take an envelope apart; raises UnreadableError when the body is not a JSON object."""
    document = parse_json_object(body)
    return Envelope(**{ours: _text(document.get(theirs)) for theirs, ours in _MEMBERS.items()})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def read_cipher_key(key: str) -> bytes:
    """Read an SM4 key in hex; raises ValueError, without the key, when it has not 16 bytes."""
    try:
        cipher_key = bytes.fromhex(key)
    except ValueError:
        cipher_key = b""
    if len(cipher_key) != sm.BLOCK_SIZE:
        raise ValueError("must be 16 bytes in hex")
    return cipher_key


class Envelopes:
    """What one side makes and reads envelopes with: its own signing key, every live key of the other side.

    May be shared by threads.
    """

    def __init__(
        self, app_code: str, *, cipher_key: bytes, sign_key: SigningKey, verify_keys: Sequence[VerifyingKey]
    ) -> None:
        self._app_code = app_code
        self._cipher_key = cipher_key
        self._sign_key = sign_key
        self._verify_keys = tuple(verify_keys)

    def seal(self, content: bytes, *, req_id: str, at: datetime) -> bytes:
        """Make an envelope: the same content has the same encData each time, and another signature."""
        envelope = Envelope(
            app_code=self._app_code,
            timestamp=str(round(at.timestamp() * 1000)),
            req_id=req_id,
            enc_data=sm.sm4_ecb_encrypt(self._cipher_key, content).hex().upper(),
        )
        signature = self._sign_key.sign(envelope.signed_text)
        return replace(envelope, sign_data=b64encode(signature).decode()).dump()

    def is_authentic(self, envelope: Envelope) -> bool:
        """Say whether one of the other side's live keys signed it."""
        try:
            signature = b64decode(envelope.sign_data, validate=True)
        except ValueError:
            return False
        text = envelope.signed_text
        return any(key.verify(signature, text) for key in self._verify_keys)

    def open(self, envelope: Envelope) -> JsonObject:
        """Open what an envelope holds; raises MappingError naming the member that keeps it closed.

        Why encData does not open (hex, padding, JSON) is not told apart.
        """
        for theirs, given, wanted in (
            ("version", envelope.version, _VERSION),
            ("encType", envelope.enc_type, _ENC_TYPE),
            ("signType", envelope.sign_type, _SIGN_TYPE),
        ):
            if given != wanted:
                raise MappingError(theirs, f"must be {wanted}")
        try:
            return parse_json_object(sm.sm4_ecb_decrypt(self._cipher_key, bytes.fromhex(envelope.enc_data)))
        except (ValueError, UnreadableError):
            raise MappingError("encData", "does not open to a JSON object") from None
