"""The ledger's file and key file: opening, migrating, refusing, and what a broken disk may cost."""

import json
import re
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from govpost.gateway import ledger as ledger_package
from govpost.gateway.ledger import Ledger
from govpost.gateway.ledger.keyfile import KeyFile
from govpost.gateway.ledger.sealing import Sealer
from govpost.schemas import Status
from govpost.schemas.errors import ConfigurationError, KeyFileError, LedgerUnavailableError, LedgerVersionError

Bench = Any


def open_again(bench: Bench, **changes: Any) -> Ledger:
    """Open the bench's file as another process would."""
    facts: dict[str, Any] = {"clock": lambda: bench.now, "terms": {}, **changes}
    return Ledger(f"sqlite:///{bench.file}", facts.pop("key_file", bench.key_file), **facts)


# Opening.


def test_a_ledger_outlives_its_process(bench: Bench) -> None:
    """What was committed is there when the file is opened again."""
    order_id = bench.numbered_order()
    before = bench.ledger.read_order(order_id)
    assert bench.reopen().read_order(order_id) == before


def test_a_new_key_file_is_the_owner_s_only(bench: Bench) -> None:
    """The key file is made together with the ledger, mode 0600."""
    assert bench.key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql://host/db"])
def test_a_ledger_is_a_file(bench: Bench, url: str) -> None:
    """What is not a file on this machine is refused by the name of the setting."""
    with pytest.raises(ConfigurationError, match=re.escape("[ledger] url")):
        Ledger(url, bench.key_file, clock=lambda: bench.now, terms={})


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, bench: Bench) -> None:
    """Opening anything else names the file, and leaves it as it was."""
    other = tmp_path / "notes.db"
    other.write_bytes(b"these are notes, and no database. " * 100)
    with pytest.raises(ConfigurationError, match=r"notes\.db"):
        Ledger(f"sqlite:///{other}", bench.key_file, clock=lambda: bench.now, terms={})
    assert other.read_bytes().startswith(b"these are notes")


def test_a_closed_ledger_takes_nothing(bench: Bench) -> None:
    """After `close` a command is refused, not swallowed."""
    bench.ledger.close()
    with pytest.raises(LedgerUnavailableError, match="closed"):
        bench.place()


# Versions.


def old_ledger(bench: Bench) -> dict[str, Any]:
    """Turn the bench's file into one of the first release: its tables, with the rows of an order in them."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.ledger.close()
    with sqlite3.connect(bench.file) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}
    connection.close()
    for path in bench.folder.glob("govpost.db*"):
        path.unlink()
    migrate_to(bench.file, "0001")
    with sqlite3.connect(bench.file) as connection:
        known = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for name in tables.keys() & known - {"alembic_version", "sqlite_sequence"}:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            names, marks = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
            rows = [tuple(row[column] for column in columns) for row in tables[name]]
            connection.executemany(f"INSERT INTO {name} ({names}) VALUES ({marks})", rows)
    connection.close()
    return {"order_id": order_id, "known": known}


def migrate_to(file: Path, revision: str) -> None:
    """Make the tables of a revision, with Alembic itself."""
    config = Config()
    config.set_main_option("script_location", str(Path(ledger_package.__file__).with_name("migrations")))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def revision_of(file: Path) -> str:
    """Read a ledger's revision."""
    connection = sqlite3.connect(file)
    revision: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    connection.close()
    return revision


def test_an_older_ledger_is_migrated(bench: Bench) -> None:
    """A ledger of the first release opens: what it held is there, and what is new works."""
    newest = revision_of(bench.file)
    old = old_ledger(bench)
    assert revision_of(bench.file) == "0001"
    assert "notices" not in old["known"]
    bench.reopen()
    assert revision_of(bench.file) == newest != "0001"
    assert bench.ledger.read_order(old["order_id"]).order.recipient == bench.RECIPIENT
    assert bench.status(old["order_id"]) is Status.COLLECTED
    bench.record(old["order_id"], "in_transit", waybill_no="EA000000028CN")
    assert len(bench.ledger.read_notices(old["order_id"])) == 1
    assert bench.tell_all() == ["collected", "in_transit"]


def test_a_newer_ledger_is_refused_and_left_alone(bench: Bench) -> None:
    """A ledger that a newer govpost wrote is not opened, let alone changed."""
    bench.order()
    bench.ledger.close()
    connection = sqlite3.connect(bench.file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerVersionError, match="newer govpost"):
        open_again(bench)
    assert revision_of(bench.file) == "9999"


# Keys.


def test_a_missing_key_file_is_not_made_anew(bench: Bench) -> None:
    """An existing ledger without its key file refuses to start, and says what to restore."""
    bench.ledger.close()
    bench.key_file.unlink()
    with pytest.raises(KeyFileError, match="restore it from the backup"):
        open_again(bench)
    assert not bench.key_file.exists()


def test_a_foreign_key_file_is_refused(tmp_path: Path, bench: Bench) -> None:
    """The key file of another ledger does not open this one."""
    foreign = tmp_path / "foreign.key"
    KeyFile.create(foreign)
    with pytest.raises(KeyFileError, match="another ledger"):
        open_again(bench, key_file=foreign)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(bench: Bench, mode: int) -> None:
    """The message says how to mend it."""
    bench.key_file.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        open_again(bench)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"sealing": {}, "index": ""}', '{"sealing": {"1": "AAAA"}, "index": "AAAA"}', "\udcff"],
)
def test_a_damaged_key_file_is_refused(bench: Bench, text: str) -> None:
    """What is not a key file is named, and no key is shown."""
    bench.key_file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(KeyFileError, match=re.escape(bench.key_file.name)):
        open_again(bench)


def test_a_key_file_is_never_overwritten(bench: Bench) -> None:
    """Making a key file where one is refuses."""
    with pytest.raises(KeyFileError, match="never overwritten"):
        KeyFile.create(bench.key_file)


def test_old_values_open_after_a_rotation(bench: Bench) -> None:
    """A new key seals from then on; what older ones sealed still opens, and look-ups and fingerprints hold."""
    old = bench.numbered_order("R1")
    bench.record(old, "collected")
    bench.ledger.close()
    rotated = KeyFile.load(bench.key_file).rotate()
    assert rotated.current_id == 2
    assert bench.key_file.stat().st_mode & 0o777 == 0o600
    bench.reopen()
    new = bench.order("R2")
    assert bench.ledger.read_order(old).order.recipient == bench.RECIPIENT
    assert bench.place("R1").is_repeat
    assert {row.order_id for row in bench.ledger.find_by_person(bench.RECIPIENT.phone)} == {old, new}
    connection = sqlite3.connect(bench.file)
    ids = {order_id: sealed[1:5] for order_id, sealed in connection.execute("SELECT order_id, sealed FROM orders")}
    connection.close()
    assert ids == {old: (1).to_bytes(4), new: (2).to_bytes(4)}


def test_a_value_belongs_to_its_row(bench: Bench) -> None:
    """A sealed value that was moved to another row, or changed, does not open."""
    sealer = Sealer(KeyFile.load(bench.key_file))
    sealed = sealer.seal("陶雨芳".encode(), row="orders|1")
    assert sealer.open(sealed, row="orders|1").decode() == "陶雨芳"
    for value, row in [
        (sealed, "orders|2"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), "orders|1"),
        (b"\x02" + sealed[1:], "orders|1"),
    ]:
        with pytest.raises(KeyFileError) as caught:
            sealer.open(value, row=row)
        assert "陶雨芳" not in str(caught.value)


def test_keys_are_not_shown(bench: Bench) -> None:
    """The `repr` of a key file holds no key."""
    keys = KeyFile.load(bench.key_file)
    document = json.loads(bench.key_file.read_text())
    assert repr(keys.index_key) not in repr(keys)
    assert document["index"] not in repr(keys)


# What is in the clear.


def test_nothing_personal_is_in_the_clear(bench: Bench) -> None:
    """Neither the database nor its log holds a name, phone, ID number or address, nor the far side's own words."""
    order_id = bench.numbered_order()
    bench.amend(command_id="A1")
    bench.settle(bench.claim_one(bench.POST), text="赵青山 13900001234 moved away")
    bench.record(
        order_id, "delivered", signer={"name": "孙晓", "id_no": "110101199003074258"}, note="快递员 13800005678"
    )
    bench.settle(bench.claim_one(bench.PORTAL), text="陶雨芳")
    stored = b"".join(path.read_bytes() for path in sorted(bench.folder.glob("govpost.db*")))
    people = (bench.SENDER, bench.RECIPIENT, bench.NEIGHBOUR)
    personal = [text for each in people for text in (each.name, each.phone, each.address.street)]
    personal += [bench.RECIPIENT.id_document.no, "孙晓", "110101199003074258", "13800005678"]
    assert b"EA000000014CN" in stored
    assert [text for text in personal if text.encode() in stored or text.encode("utf-16-le") in stored] == []


# Trouble.


def test_a_locked_file_refuses_and_keeps_what_was_acknowledged(bench: Bench) -> None:
    """While another holds the file an order is refused with a clear error; afterwards it goes on."""
    bench.reopen(busy_s=0.02)
    bench.order("R1")
    other = sqlite3.connect(bench.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailableError, match=r"locked.*try again"):
        bench.place("R2")
    with pytest.raises(LedgerUnavailableError):
        bench.ledger.check_writable()
    with pytest.raises(LedgerUnavailableError, match="locked"):
        open_again(bench, busy_s=0.02)
    other.execute("ROLLBACK")
    other.close()
    assert not bench.place("R2").is_repeat
    assert {row.portal_ref for row in bench.ledger.find_orders().rows} == {"R1", "R2"}


#: Places orders until the disk is full, printing each number as it is acknowledged, and then makes room.
FILLING = """
import resource, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, sys.argv[2])
from conftest import Bench
from govpost.schemas.errors import LedgerUnavailableError

bench = Bench(Path(sys.argv[1]))
limit = bench.file.stat().st_size + 400_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
refused = 0
for index in range(4000):
    try:
        print("kept", bench.order(f"R{index}"), flush=True)
    except LedgerUnavailableError as error:
        refused += 1
        print("refused", error, flush=True)
        if refused == 5:
            break
try:
    for _ in range(200):  # it writes less than an order does, so there may be room for a few
        bench.ledger.check_writable()
except LedgerUnavailableError:
    print("check refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("kept", bench.order("after"), flush=True)
bench.close()
"""


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """On a full disk orders are refused with a clear error, none that was acknowledged is lost, and room mends it."""
    folder = tmp_path / "small"
    folder.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FILLING), str(folder), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    lines = [line.split(" ", 1) for line in finished.stdout.splitlines()]
    kept = {text for word, text in lines if word == "kept"}
    refusals = [text for word, text in lines if word == "refused"]
    assert len(refusals) == 5
    assert all("the ledger cannot be written now" in text for text in refusals)
    assert ["check", "refused"] in lines
    reopened = type("Again", (), {"file": folder / "govpost.db", "key_file": folder / "govpost.key", "now": None})
    ledger = open_again(reopened)
    stored = {row.order_id for row in ledger.find_orders(limit=5000).rows}
    ledger.close()
    assert stored == kept
    assert len(kept) > 1
