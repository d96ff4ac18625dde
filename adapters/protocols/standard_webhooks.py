"""Signatures by Standard Webhooks (standardwebhooks.com, symmetric `v1`), as the webhook contract uses them."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable

__all__ = ["read_key", "sign", "verify"]

_PREFIX = "whsec_"


def read_key(secret: str) -> bytes:
    """Read the key a secret stands for: `whsec_` and Base64, or the text itself in UTF-8.

    Raises ValueError, without the secret, when what follows `whsec_` is not Base64 or is empty.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError(f"what follows {_PREFIX} must be Base64")
    return key


def sign(keys: Iterable[bytes], *, message_id: str, timestamp: str, body: bytes) -> str:
    """Sign a message under every live key; `timestamp` is Unix seconds as they go on the wire."""
    return " ".join(_signature(key, message_id, timestamp, body) for key in keys)


def verify(keys: Iterable[bytes], signature: str, *, message_id: str, timestamp: str, body: bytes) -> bool:
    """Say whether one of the signatures (separated by spaces) fits one of the keys. The time is not looked at."""
    given = [candidate.encode() for candidate in signature.split()]
    return any(
        hmac.compare_digest(_signature(key, message_id, timestamp, body).encode(), candidate)
        for key in keys
        for candidate in given
    )


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()
