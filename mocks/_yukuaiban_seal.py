"""The cryptography of the yukuaiban wire, written from the contract alone: HMAC-SM3 signature, SM4-CBC `secret`."""

import base64
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from govpost.mocks.base import dump_json, load_json_object

__all__ = ["open_secret", "seal", "sign"]

_BLOCK = 16


def sign(app_secret: str, *, app_id: str, timestamp: str, nonce: str, method: str, path: str, body: bytes) -> str:
    """Compute X-Sign: HMAC-SM3 over the six lines."""
    digest = Hash(SM3())
    digest.update(body)
    lines = (app_id, timestamp, nonce, method, path, digest.finalize().hex())
    mac = HMAC(app_secret.encode(), SM3())
    mac.update("\n".join(lines).encode())
    return mac.finalize().hex()


def seal(app_key: str, document: Any, *, iv: bytes) -> str:
    """Build `secret`: Base64 of the IV and the SM4-CBC-PKCS7 ciphertext of the JSON."""
    padder = PKCS7(_BLOCK * 8).padder()
    plain = padder.update(dump_json(document)) + padder.finalize()
    encryptor = _cipher(app_key, iv).encryptor()
    return base64.b64encode(iv + encryptor.update(plain) + encryptor.finalize()).decode()


def open_secret(app_key: str, secret: str) -> dict[str, Any]:
    """Open `secret`; ValueError or UnfitError where it does not open to a JSON object."""
    sealed = base64.b64decode(secret, validate=True)
    decryptor = _cipher(app_key, sealed[:_BLOCK]).decryptor()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    padded = decryptor.update(sealed[_BLOCK:]) + decryptor.finalize()
    return load_json_object(unpadder.update(padded) + unpadder.finalize(), where="secret")


def _cipher(app_key: str, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.SM4(base64.b64decode(app_key)), modes.CBC(iv))
