"""Seal personal data at rest, and make keyed hashes of it (AES-256-GCM, HMAC-SM3).

A sealed value is: format (1 byte) · key id (4 bytes) · nonce (12 bytes) · ciphertext with tag. The additional data
binds it to its table and row, so that values cannot be moved about within the store.
"""

import json
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from govpost.gateway.ledger._chance import take_random
from govpost.gateway.ledger.keyfile import KeyFile
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import KeyFileError

__all__ = ["Sealer"]

_FORMAT = b"\x01"
_HEAD = 5
_NONCE = 12


class Sealer:
    """Seal, open and hash with the keys of one ledger."""

    def __init__(self, keys: KeyFile) -> None:
        self._ciphers = {number.to_bytes(4): AESGCM(key) for number, key in keys.sealing_keys.items()}
        self._current = keys.current_id.to_bytes(4)
        self._hmac = hmac.HMAC(keys.index_key, hashes.SM3())

    def seal(self, plain: bytes, *, row: str) -> bytes:
        """Seal a value; `row` is `table|row id` and must be given again to open it."""
        nonce = take_random(_NONCE)
        return _FORMAT + self._current + nonce + self._ciphers[self._current].encrypt(nonce, plain, row.encode())

    def open(self, sealed: bytes, *, row: str) -> bytes:
        """Open a sealed value; raises KeyFileError when the key file lacks its key or the value was tampered with."""
        cipher = self._ciphers.get(sealed[1:_HEAD])
        if cipher is None or sealed[:1] != _FORMAT:
            raise KeyFileError(
                "a value was sealed with a key that the key file does not hold; restore the newest key file"
            )
        try:
            return cipher.decrypt(sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :], row.encode())
        except InvalidTag:
            raise KeyFileError(
                "a sealed value does not open: it was changed, or the key file is another ledger's"
            ) from None

    def digest(self, value: bytes, *, domain: str) -> bytes:
        """Hash a value under the index key; equal values of one domain have equal digests."""
        keyed = self._hmac.copy()
        keyed.update(domain.encode() + b"\x00" + value)
        return keyed.finalize()

    def fingerprint(self, content: JsonObject) -> bytes:
        """Hash an order's content: HMAC-SM3 of its canonical JSON (RFC 8785)."""
        return self.digest(_canonical(content), domain="order")


def _canonical(content: JsonObject) -> bytes:
    """Write canonical JSON (RFC 8785).

    Where there are only ASCII names and no fractions, as in all orders seen so far, the standard library's encoder
    writes the same bytes in a tenth of the time of rfc8785's (measured: 15 µs against 150; a test compares them).
    """
    if _is_plain(content):
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return rfc8785.dumps(content)


def _is_plain(value: Any) -> bool:
    match value:
        case dict():
            return all(name.isascii() and _is_plain(member) for name, member in value.items())
        case list():
            return all(_is_plain(item) for item in value)
        case float():
            return False
        case int():
            return abs(value) <= _MOST_EXACT
    return True


#: Beyond it rfc8785 refuses integers, and so must we.
_MOST_EXACT = 2**53 - 1
