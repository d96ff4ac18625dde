"""The ciphertext of the EMS wire, written from the contract alone: SM4-ECB over JSON with the signKey behind it."""

import base64
import json
from binascii import Error as Base64Error
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from govpost.mocks.base import UnfitError, dump_json

__all__ = ["open_sealed", "seal", "seal_bytes"]

_PREFIX = "|$4|"
_BLOCK_BITS = 128


def seal(sign_key: str, document: Any, *, is_signed: bool = True) -> str:
    """Build `logitcsInterface`; pushes may come without the signKey's text inside."""
    return seal_bytes(sign_key, dump_json(document) + (sign_key.encode() if is_signed else b""))


def seal_bytes(sign_key: str, plain: bytes) -> str:
    """Build `logitcsInterface` of anything."""
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = _cipher(sign_key).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return _PREFIX + base64.b64encode(sealed).decode()


def open_sealed(sign_key: str, text: str, *, where: str, code: str) -> Any:
    """Open `logitcsInterface`; UnfitError where it does not open to JSON with the signKey's text behind it."""
    plain = _decrypt(sign_key, text, where=where, code=code)
    signature = sign_key.encode()
    if not plain.endswith(signature):
        raise UnfitError(where, "does not end in the signKey's text", code=code)
    try:
        return json.loads(plain.removesuffix(signature))
    except ValueError:
        raise UnfitError(where, "does not open to JSON in UTF-8", code=code) from None


def _decrypt(sign_key: str, text: str, *, where: str, code: str) -> bytes:
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    decryptor = _cipher(sign_key).decryptor()
    try:
        sealed = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        padded = decryptor.update(sealed) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except Base64Error:
        raise UnfitError(where, "is not Base64", code=code) from None
    except ValueError:
        raise UnfitError(where, "does not open with the signKey", code=code) from None


def _cipher(sign_key: str) -> Cipher[modes.ECB]:
    return Cipher(algorithms.SM4(base64.b64decode(sign_key)), modes.ECB())  # noqa: S305 - the wire's own choice
