"""The cryptography of the SM envelope, written from the contract alone: SM4-ECB content, SM2-with-SM3 signatures."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from gmssl_pyx import GmsslInnerError, normalize_sm2_public_key, sm2_key_generate, sm2_sign, sm2_verify

__all__ = [
    "KeyPair",
    "is_signed",
    "key_pair_of",
    "new_key_pair",
    "open_sealed",
    "read_public_key",
    "seal",
    "sign",
    "signed_text",
]

_SIGNER_ID = b"1234567812345678"
_BLOCK = 16
_HALF = 32

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


def signed_text(envelope: Mapping[str, str]) -> bytes:
    """Join the members of an envelope, all but the signature, sorted and unescaped."""
    return "&".join(f"{name}={envelope[name]}" for name in sorted(envelope) if name != "signData").encode()


def sign(message: bytes, key: KeyPair) -> str:
    """Sign with SM2 and SM3: Base64 of r and s, never twice the same."""
    signature = sm2_sign(bytes.fromhex(key.private), bytes.fromhex(key.public), message, signer_id=_SIGNER_ID)
    return base64.b64encode(b"".join(part.to_bytes(_HALF, "big") for part in decode_dss_signature(signature))).decode()


def is_signed(message: bytes, signature: str, *, by: Iterable[str]) -> bool:
    """Tell whether a signature is that of one of some public keys."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    if len(raw) != 2 * _HALF:
        return False
    der = encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
    return any(sm2_verify(bytes.fromhex(public), message, der, signer_id=_SIGNER_ID) for public in by)


def seal(key: str, plain: bytes) -> str:
    """Build `encData`: upper-case hex of the SM4-ECB-PKCS7 ciphertext."""
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = _cipher(key).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return (encryptor.update(padded) + encryptor.finalize()).hex().upper()


def open_sealed(key: str, sealed: str) -> bytes:
    """Open `encData`; ValueError where it does not open."""
    decryptor = _cipher(key).decryptor()
    padded = decryptor.update(bytes.fromhex(sealed)) + decryptor.finalize()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _cipher(key: str) -> Cipher[modes.ECB]:
    return Cipher(algorithms.SM4(bytes.fromhex(key)), modes.ECB())  # noqa: S305 - the wire's choice


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
