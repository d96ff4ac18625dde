"""The cryptography of the SM envelope, written from the contract alone: SM4-ECB content, SM2-with-SM3 signatures."""

import base64
from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from govpost.mocks import _sm2
from govpost.mocks._sm2 import KeyPair

__all__ = ["is_signed", "open_sealed", "seal", "sign", "signed_text"]

_BLOCK = 16
_HALF = 32


def signed_text(envelope: Mapping[str, str]) -> bytes:
    """Join the members of an envelope, all but the signature, sorted and unescaped."""
    return "&".join(f"{name}={envelope[name]}" for name in sorted(envelope) if name != "signData").encode()


def sign(message: bytes, key: KeyPair) -> str:
    """Sign with SM2 and SM3: Base64 of r and s, never twice the same."""
    parts = decode_dss_signature(_sm2.sign(message, key))
    return base64.b64encode(b"".join(part.to_bytes(_HALF, "big") for part in parts)).decode()


def is_signed(message: bytes, signature: str, *, by: Iterable[str]) -> bool:
    """Tell whether a signature is that of one of some public keys."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    if len(raw) != 2 * _HALF:
        return False
    der = encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
    return _sm2.is_signed(message, der, by=by)


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
