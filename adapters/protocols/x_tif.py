"""How a caller is known at an x-tif gateway, the door of several provincial platforms.

Four headers; the signature covers caller, time and nonce, not the body.
"""

from datetime import datetime
from hashlib import sha256

__all__ = ["RETRY_AFTER", "signed_headers"]

#: Header of an answer that asks us to wait, seconds.
RETRY_AFTER = "x-tif-retry-after"


def signed_headers(paasid: str, *, token: str, nonce: str, at: datetime) -> dict[str, str]:
    """Build the headers of one request; a nonce is good for one of them.

    The signature is the upper-case hex SHA-256 of timestamp, token, nonce and timestamp again.
    """
    timestamp = str(int(at.timestamp()))
    signature = sha256(f"{timestamp}{token}{nonce}{timestamp}".encode()).hexdigest().upper()
    return {
        "x-tif-paasid": paasid,
        "x-tif-timestamp": timestamp,
        "x-tif-nonce": nonce,
        "x-tif-signature": signature,
    }
