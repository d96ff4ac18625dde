"""SM2-with-SM3 signatures and the keys for them, for the mocks whose wires are signed so (GB/T 32918)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from gmssl_pyx import GmsslInnerError, normalize_sm2_public_key, sm2_key_generate, sm2_sign, sm2_verify

__all__ = ["KeyPair", "is_signed", "key_pair_of", "new_key_pair", "read_public_key", "sign"]

_SIGNER_ID = b"1234567812345678"

# The curve of SM2 (GB/T 32918.5).
_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
_Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An SM2 key, in hex as settings and the contract's examples have it."""

    #: x and y, 64 bytes.
    public: str
    #: 32 bytes.
    private: str = field(repr=False)


def new_key_pair() -> KeyPair:
    """Make a key."""
    public, private = sm2_key_generate()
    return KeyPair(public.hex(), private.hex())


def key_pair_of(private: str) -> KeyPair:
    """Find the public half of a private key; ValueError where it is none.

    The library that signs wants both halves and cannot make one of the other; this is its one gap, for settings that
    hold the private half only.
    """
    scalar = int.from_bytes(bytes.fromhex(private), "big")
    if not 0 < scalar < _N - 1:
        raise ValueError("is no private key of SM2")
    x, y = _multiply(scalar)
    return KeyPair(f"{x:064x}{y:064x}", f"{scalar:064x}")


def read_public_key(text: str) -> str:
    """Bring a public key, with or without 04 in front or compressed, to 128 digits; ValueError where it is none."""
    try:
        return str(normalize_sm2_public_key(text).hex())
    except GmsslInnerError:
        raise ValueError("is no public key of SM2") from None


def sign(message: bytes, key: KeyPair) -> bytes:
    """Sign, in DER; never twice the same."""
    return bytes(sm2_sign(bytes.fromhex(key.private), bytes.fromhex(key.public), message, signer_id=_SIGNER_ID))


def is_signed(message: bytes, signature: bytes, *, by: Iterable[str]) -> bool:
    """Tell whether a signature in DER is that of one of some public keys."""
    try:
        decode_dss_signature(signature)
    except ValueError:
        # The library that verifies would say so too, and more on stderr.
        return False
    return any(sm2_verify(bytes.fromhex(public), message, signature, signer_id=_SIGNER_ID) for public in by)


def _multiply(scalar: int) -> _Point:
    """Multiply the base point by 1 … n - 2, doubling and adding."""
    total: _Point | None = None
    power = _G
    for bit in reversed(f"{scalar:b}"):
        if bit == "1":
            total = power if total is None else _add(total, power)
        power = _add(power, power)
    return total or _G


def _add(one: _Point, other: _Point) -> _Point:
    """Add two points of the curve that are not each other's negative; its coefficient a is -3."""
    (x1, y1), (x2, y2) = one, other
    rise, run = (3 * x1 * x1 - 3, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P
