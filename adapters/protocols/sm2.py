"""SM2 signatures with SM3 (GB/T 32918.2) under the signer id 1234567812345678, over keys written in hex.

GmSSL computes them, by way of the digest, which takes a tenth of the time of its own call for whole messages
(measured, x86_64: 0.27 ms to sign, 0.62 ms to verify, against 2.8 and 0.7). It writes two lines to stderr whenever a
signature does not fit; that is its C code's, and no harm. Keys are checked here, and a signature is taken apart and
put together by `cryptography`.
"""

import re

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from gmssl_pyx import InvalidValueError, normalize_sm2_public_key, sm2_sign_sm3_digest, sm2_verify_sm3_digest

from govpost.adapters.protocols.sm import sm3

__all__ = ["SIGNATURE_SIZE", "SigningKey", "VerifyingKey", "der_from_raw", "raw_from_der"]

#: Bytes of a raw signature, r and s one after the other.
SIGNATURE_SIZE = 64

_HALF = SIGNATURE_SIZE // 2
_PRIVATE = re.compile(r"[0-9A-Fa-f]{64}")
_PUBLIC = re.compile(r"(?:04)?([0-9A-Fa-f]{128})")

# The curve (GB/T 32918.5): its prime, its coefficients, the base point and the order of its group.
_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A = _P - 3
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123

_SIGNER_ID = b"1234567812345678"
#: What every signer's digest begins with: the id with its length in bits, and the curve.
_HEAD = b"".join(
    (
        (8 * len(_SIGNER_ID)).to_bytes(2),
        _SIGNER_ID,
        *(number.to_bytes(_HALF) for number in (_A, _B, *_G)),
    )
)


class VerifyingKey:
    """A public key in hex: x and y, `04` before them or not. May be shared by threads.

    Raises ValueError, without the key, when it is none.
    """

    __slots__ = ("_point", "_signer")

    def __init__(self, public: str) -> None:
        match = _PUBLIC.fullmatch(public)
        try:
            self._point: bytes = normalize_sm2_public_key(match[1] if match else "")
        except InvalidValueError:
            raise ValueError("must be an SM2 public key: a point of the curve, 64 bytes in hex") from None
        self._signer = _signer(self._point)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Say whether a raw signature of `data` was made with the private half of this key."""
        if len(signature) != SIGNATURE_SIZE:
            return False
        digest = sm3(self._signer + data)
        return bool(sm2_verify_sm3_digest(self._point, digest, der_from_raw(signature)))


class SigningKey:
    """A private key in hex: 32 bytes. May be shared by threads.

    Raises ValueError, without the key, when it is none.
    """

    __slots__ = ("_key", "_signer", "public")

    def __init__(self, private: str) -> None:
        number = int(private, 16) if _PRIVATE.fullmatch(private) else 0
        # The standard leaves out order - 1 as well: nothing can be signed with it.
        if not 1 <= number <= _ORDER - 2:
            raise ValueError("must be an SM2 private key: 32 bytes in hex, within the order of the curve")
        point = b"".join(coordinate.to_bytes(_HALF) for coordinate in _public_point(number))
        self._key = number.to_bytes(_HALF)
        self._signer = _signer(point)
        #: The public half: x and y, 64 bytes in hex.
        self.public = point.hex()

    def sign(self, data: bytes) -> bytes:
        """Sign: 64 bytes, other ones each time."""
        return raw_from_der(sm2_sign_sm3_digest(self._key, sm3(self._signer + data)))


def der_from_raw(signature: bytes) -> bytes:
    """Write a raw signature in DER (GM/T 0009); raises ValueError when it has not 64 bytes."""
    if len(signature) != SIGNATURE_SIZE:
        raise ValueError("a raw signature has 64 bytes")
    return encode_dss_signature(*(int.from_bytes(half) for half in (signature[:_HALF], signature[_HALF:])))


def raw_from_der(signature: bytes) -> bytes:
    """Read a signature in DER; raises ValueError when it is none, or its numbers are negative or too long."""
    try:
        return b"".join(number.to_bytes(_HALF) for number in decode_dss_signature(signature))
    except (ValueError, OverflowError):
        raise ValueError("is not a signature in DER") from None


def _signer(point: bytes) -> bytes:
    """Digest who signs, and on which curve (GB/T 32918.2, Z): what a message's digest begins with."""
    return sm3(_HEAD + point)


_Point = tuple[int, int]


def _public_point(number: int) -> _Point:
    """Find the public half of a private key, which the library cannot; once a key, so simple beats fast."""
    point: _Point | None = None
    for bit in f"{number:b}":
        point = _sum(point, point) if point else None
        if bit == "1":
            point = _sum(point, _G) if point else _G
    return point or _G


def _sum(one: _Point, other: _Point) -> _Point:
    """Add two points that are not each other's negative."""
    (x1, y1), (x2, y2) = one, other
    rise, run = (3 * x1 * x1 + _A, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P
