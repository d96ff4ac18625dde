"""Open the file of a ledger: connections, migrations, and the key file that belongs to it."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError

from govpost.gateway.ledger.keyfile import KeyFile
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import meta
from govpost.schemas.errors import ConfigurationError, KeyFileError, LedgerUnavailableError, LedgerVersionError

__all__ = ["Store"]

_MIGRATIONS = Path(__file__).with_name("migrations")
_KEY_CHECK = "key_check"
_DURABLE = {"journal_mode": "WAL", "synchronous": "FULL"}


class Store:
    """The two engines of a ledger's file: one that writes, one that cannot."""

    def __init__(self, url: str, key_file: Path, *, busy_s: float) -> None:
        self.path = _database_path(url)
        is_new = not self.path.exists() or self.path.stat().st_size == 0
        self.keys = _load_or_create(key_file, is_new=is_new)
        self.sealer = Sealer(self.keys)
        self.writing = _engine(url, begin="BEGIN IMMEDIATE", busy_s=busy_s, pragmas=_DURABLE)
        self.reading = _engine(url, begin="BEGIN", busy_s=busy_s, pragmas={"query_only": "ON"})
        try:
            with self.writing.connect() as connection, connection.begin():
                _migrate(connection)
                _check_keys(connection, self.sealer)
        except DatabaseError as error:
            self.close()
            raise _opening_error(error, self.path) from None
        except ConfigurationError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.writing.dispose()
        self.reading.dispose()


def _database_path(url: str) -> Path:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError("[ledger] url: must be sqlite:///path/to/file.db, on a local disk")
    return Path(parsed.database)


def _load_or_create(path: Path, *, is_new: bool) -> KeyFile:
    if is_new and not path.exists():
        return KeyFile.create(path)
    return KeyFile.load(path)


def _engine(url: str, *, begin: str, busy_s: float, pragmas: dict[str, str]) -> Engine:
    engine = create_engine(url, connect_args={"check_same_thread": False, "isolation_level": None})
    every = {"busy_timeout": str(round(busy_s * 1000)), "foreign_keys": "OFF", "temp_store": "MEMORY", **pragmas}

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        for name, value in every.items():
            connection.execute(f"PRAGMA {name} = {value}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver's own transaction handling would begin late and without the write lock.
        connection.exec_driver_sql(begin)

    return engine


def _migrate(connection: Connection) -> None:
    """Bring the tables to this version, in the transaction that holds the write lock; refuse a newer ledger."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise LedgerVersionError(
            f"the ledger was written by a newer govpost (revision {current}); "
            "upgrade govpost, never downgrade the ledger"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _check_keys(connection: Connection, sealer: Sealer) -> None:
    """Bind the ledger to its key file at birth, and refuse a foreign one ever after."""
    mark = sealer.digest(b"govpost", domain="key-check")
    known = connection.execute(select(meta.c.value).where(meta.c.name == _KEY_CHECK)).scalar()
    if known is None:
        connection.execute(meta.insert(), {"name": _KEY_CHECK, "value": mark})
    elif known != mark:
        raise KeyFileError("the key file belongs to another ledger; check [ledger] url and key_file")


def _opening_error(error: DBAPIError, path: Path) -> Exception:
    text = str(error.orig)
    if "not a database" in text or "malformed" in text:
        return ConfigurationError(f"{path} is not a ledger, or is damaged ({text}); restore it from the backup")
    if "unable to open" in text or "readonly" in text:
        return ConfigurationError(
            f"{path} cannot be opened for writing ({text}); check [ledger] url and the folder's rights"
        )
    return LedgerUnavailableError(f"the ledger cannot be opened now ({text}); free the disk or the lock and try again")
