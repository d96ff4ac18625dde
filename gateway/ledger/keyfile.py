"""The key file beside a ledger: rotating sealing keys and one fixed index key.

It is made once, together with a new ledger, readable by its owner only. Losing it loses every order's content, so
it belongs in the backup, apart from the ledger. Old sealing keys stay: what they sealed must still open.
"""

import json
import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from govpost.schemas.errors import KeyFileError

__all__ = ["KeyFile"]

_KEY_BYTES = 32
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The keys of one ledger."""

    path: Path
    #: Key id → AES-256 key; the highest id seals, all of them open.
    sealing_keys: dict[int, bytes] = field(repr=False)
    #: Fingerprints and look-ups depend on it, so it is never changed.
    index_key: bytes = field(repr=False)

    @property
    def current_id(self) -> int:
        """The id of the key that seals now."""
        return max(self.sealing_keys)

    @classmethod
    def create(cls, path: Path) -> "KeyFile":
        """Make a new key file, mode 0600; raises KeyFileError rather than overwrite one."""
        keys = cls(path, {1: secrets.token_bytes(_KEY_BYTES)}, secrets.token_bytes(_KEY_BYTES))
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyFileError(f"{path} is there already; it is never overwritten") from None
        except OSError as error:
            raise KeyFileError(f"{path} cannot be made ({error.strerror}); check [ledger] key_file") from None
        _write(descriptor, keys)
        return keys

    @classmethod
    def load(cls, path: Path) -> "KeyFile":
        """Read a key file; raises KeyFileError when it is missing, damaged or readable by others."""
        try:
            mode = path.stat().st_mode
            document = json.loads(path.read_bytes())
            sealing = {int(number): b64decode(key, validate=True) for number, key in document["sealing"].items()}
            index = b64decode(document["index"], validate=True)
        except FileNotFoundError:
            raise KeyFileError(
                f"{path} is missing; restore it from the backup: the ledger cannot be read without it"
            ) from None
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise KeyFileError(f"{path} is not a key file of govpost; restore it from the backup") from None
        if mode & _OTHERS:
            raise KeyFileError(f"{path} can be read by others; run: chmod 600 {path}")
        if not sealing or {len(key) for key in (*sealing.values(), index)} != {_KEY_BYTES}:
            raise KeyFileError(f"{path} holds a key of a wrong length; restore it from the backup")
        return cls(path, sealing, index)

    def rotate(self) -> "KeyFile":
        """Add a new sealing key, durably, and return the file with it; running daemons take it up when restarted."""
        keys = KeyFile(
            self.path,
            {**self.sealing_keys, self.current_id + 1: secrets.token_bytes(_KEY_BYTES)},
            self.index_key,
        )
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), keys)
            beside.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be written ({error.strerror})") from None
        return keys


def _write(descriptor: int, keys: KeyFile) -> None:
    document: dict[str, Any] = {
        "note": "govpost key file: keep it secret, and keep a copy apart from the ledger",
        "sealing": {str(number): b64encode(key).decode() for number, key in keys.sealing_keys.items()},
        "index": b64encode(keys.index_key).decode(),
    }
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(keys.path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
