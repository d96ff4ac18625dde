"""The Chinese commercial ciphers as our wires use them: SM3 (GB/T 32905), HMAC-SM3, SM4 (GB/T 32907).

Texts that do not open raise ValueError, always with the same message and never with data, so that nobody learns
from an answer how far the opening came.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.padding import PKCS7

__all__ = [
    "BLOCK_SIZE",
    "hmac_sm3",
    "sm3",
    "sm4_cbc_decrypt",
    "sm4_cbc_encrypt",
    "sm4_ecb_decrypt",
    "sm4_ecb_encrypt",
]

#: Bytes of an SM4 block, key and initialisation vector.
BLOCK_SIZE = 16

_PADDING = PKCS7(8 * BLOCK_SIZE)


def sm3(data: bytes) -> bytes:
    """Digest `data`: 32 bytes."""
    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """Authenticate `data` under `key`: 32 bytes."""
    mac = HMAC(key, SM3())
    mac.update(data)
    return mac.finalize()


def sm4_cbc_encrypt(key: bytes, data: bytes, *, iv: bytes) -> bytes:
    """Encrypt with PKCS7 padding; the vector is not part of the result."""
    return _encrypt(Cipher(SM4(key), modes.CBC(iv)), data)


def sm4_cbc_decrypt(key: bytes, data: bytes, *, iv: bytes) -> bytes:
    """Open what `sm4_cbc_encrypt` made; raises ValueError when it does not open."""
    return _decrypt(Cipher(SM4(key), modes.CBC(iv)), data)


def sm4_ecb_encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt with PKCS7 padding, block by block: only where a wire wants it so."""
    return _encrypt(Cipher(SM4(key), modes.ECB()), data)  # noqa: S305 - the wire's choice


def sm4_ecb_decrypt(key: bytes, data: bytes) -> bytes:
    """Open what `sm4_ecb_encrypt` made; raises ValueError when it does not open."""
    return _decrypt(Cipher(SM4(key), modes.ECB()), data)  # noqa: S305 - the wire's choice


def _encrypt(cipher: "Cipher[modes.CBC] | Cipher[modes.ECB]", data: bytes) -> bytes:
    padder = _PADDING.padder()
    encryptor = cipher.encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def _decrypt(cipher: "Cipher[modes.CBC] | Cipher[modes.ECB]", data: bytes) -> bytes:
    decryptor = cipher.decryptor()
    unpadder = _PADDING.unpadder()
    try:
        return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise ValueError("the ciphertext does not open") from None
