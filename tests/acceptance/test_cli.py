"""The command line as people and scripts meet it: two streams, and an exit code.

What concerns the process (start, faults, other packages, the daemon) runs as one; the many small commands on a ledger
run in this process through the same `main`, since importing the engine anew takes a second each time.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from govpost.adapters.base import Document, Owed
from govpost.gateway.cli import COMMANDS, main
from govpost.gateway.cli.exits import Exit
from govpost.gateway.ledger import DeadReason, Ledger, Next, PortalTerms, Settlement
from govpost.gateway.settings import load_settings
from govpost.schemas import Event, OrderContent, Outcome, OutcomeKind, Place, Placed, Refuse, Status, Telling

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WAYBILL = "EA123456785CN"
PHONE = "13912345678"
ID_NO = "11010519491231002X"
FAR_TEXT = "收件人李雷电话有误"
PERSONAL = ("李雷", "韩梅梅", PHONE, "13800138000", ID_NO, "人民路1号", "前门大街2号", FAR_TEXT)

SETTINGS = """
[api]
tokens = ["token-of-the-backend-1"]
[portals.yukuaiban]
base_url = "http://127.0.0.1:9001"
app_id = "govpost"
app_secret = "s3cret-of-portal"
app_key = "MDEyMzQ1Njc4OWFiY2RlZg=="
backend = "post"
[backends.post]
adapter = "webhook"
url = "http://127.0.0.1:9002/orders"
secret = "s3cret-of-backend-0123456789abcdef"
"""

ORDER: dict[str, Any] = {
    "portal_ref": "YKB-1",
    "direction": "to_applicant",
    "mode": "doorstep",
    "payer": "government",
    "sender": {
        "name": "韩梅梅",
        "phone": "13800138000",
        "address": {"province": "重庆市", "county": "渝中区", "street": "人民路1号"},
    },
    "recipient": {
        "name": "李雷",
        "phone": PHONE,
        "address": {"province": "重庆市", "county": "江北区", "street": "前门大街2号"},
        "id_document": {"type": "111", "no": ID_NO},
    },
    "items": [{"name": "营业执照"}],
    "matter": {"name": "企业设立登记"},
    "remark": "请交李雷本人",
    "extras": {"contact": PHONE},
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """Read the JSON document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shop:
    """A folder with settings, where commands are run."""

    folder: Path

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "govpost.toml"

    def run(self, *words: str, stdin: str = "", **variables: str) -> Ended:
        """Run `govpost` with these words, in this folder."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")}
        done = subprocess.run(
            [sys.executable, "-m", "govpost.gateway.cli", *words],
            cwd=self.folder,
            env={**environment, "PYTHONUTF8": "1", "COLUMNS": "200", **variables},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def call(self, *words: str, stdin: str = "") -> Ended:
        """Do the same without a process of its own; GOVPOST_CONFIG names the settings."""
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("GOVPOST_")]:
                patch.delenv(name)
            patch.setenv("GOVPOST_CONFIG", str(self.config))
            patch.setattr("sys.stdin", StringIO(stdin))
            patch.setattr("sys.excepthook", sys.excepthook)
            with pytest.raises(SystemExit) as ended:
                main(words)
        return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Give a folder with settings and no ledger."""
    shop = Shop(tmp_path)
    shop.config.write_text(SETTINGS, encoding="utf-8")
    shop.config.chmod(0o600)
    return shop


@contextmanager
def ledger_of(shop: Shop) -> Iterator[Ledger]:
    """Open a shop's ledger as the engine does, at a fixed time."""
    settings = load_settings(shop.config)
    terms = PortalTerms(tells=frozenset(Status), needs_waybill=frozenset(), tells_own_cancel=False)
    ledger = Ledger(settings.ledger.url, settings.ledger.key_file, clock=lambda: NOW, terms={"yukuaiban": terms})
    try:
        yield ledger
    finally:
        ledger.close()


@pytest.fixture
def order_id(shop: Shop) -> str:
    """Put one order into the ledger that was collected under a waybill; returns its id."""
    with ledger_of(shop) as ledger:
        order_id = place(ledger)
        event = Event(event_id="e-1", status=Status.COLLECTED, occurred_at=NOW, waybill_no=WAYBILL, note="李雷不在家")
        ledger.record(order_id, event).result()
    return order_id


@pytest.fixture
def dead_id(shop: Shop) -> str:
    """Put one order into the ledger whose placement the backend refused; returns the dead delivery's id."""
    with ledger_of(shop) as ledger:
        place(ledger)
        return bury_placement(ledger)


def place(ledger: Ledger) -> str:
    """Have the portal place its order."""
    command = Place(OrderContent.model_validate(ORDER), {"orderNo": "YKB-1"})
    placed = ledger.execute("yukuaiban", command, backend="post").result()
    assert isinstance(placed, Placed)
    return placed.order_id


def bury_placement(ledger: Ledger) -> str:
    """Have the backend refuse what is due, and return the dead delivery's id."""

    def render(_destination: str, owed: Owed) -> Document:
        return Document("place", b"{}", owed.delivery_id)

    ledger.register("w", holds_lock=True).result()
    (claim,) = ledger.claim("post", worker_id="w", most=1, render=render).result().claims
    settlement = Settlement(
        claim,
        Outcome(OutcomeKind.REFUSED, "BAD_PHONE", text=FAR_TEXT),
        Next.BURY,
        started_at=NOW,
        dead_reason=DeadReason.REFUSED,
    )
    ledger.settle([settlement], worker_id="w", pause_base_s=5, pause_cap_s=600, breakages_to_pause=10).result()
    ledger.retire("w", probe_after_s=15).result()
    return claim.owed.delivery_id


def assert_nothing_personal(*texts: str) -> None:
    """Look for every personal value of the order in what was printed."""
    assert [value for value in PERSONAL for text in texts if value in text] == []


# The command line itself.


def test_help_names_commands_and_exit_codes(shop: Shop) -> None:
    """`--help` lists every command and what each exit code means."""
    ended = shop.run("--help")

    assert ended.code == Exit.DONE
    assert [name for name in COMMANDS if f"  {name} " not in ended.out] == []
    assert [code for code in Exit if f"{code.value}  {code.meaning}" not in ended.out] == []


def test_help_does_not_load_the_engine() -> None:
    """Asking for help imports neither the database nor the network."""
    script = """
import sys
from govpost.gateway.cli import main
try:
    main(["--help"])
except SystemExit:
    heavy = {"sqlalchemy", "alembic", "aiohttp", "fastapi", "structlog", "rich"}
    print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_says_its_version(shop: Shop) -> None:
    """`--version` is one line."""
    ended = shop.run("--version")

    assert (ended.code, ended.out.split()[0], len(ended.out.splitlines())) == (Exit.DONE, "govpost", 1)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(shop: Shop, command: str) -> None:
    """Each command explains itself."""
    ended = shop.call(command, "--help")

    assert ended.code == Exit.DONE
    assert ended.out.startswith(f"Usage: govpost {command}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ordrs",), "'orders'"),
        (("orders", "lst"), "'list'"),
        (("orders", "list", "--status", "unheard-of"), "accepted"),
        (("orders", "list", "--phone", "1", "--id-no", "2"), "not both"),
        (("orders", "list", "--phone", "1", "--portal", "x"), "leave the other filters out"),
        (("dead", "drop", "01J"), "--reason"),
        (("explain",), "ORDER"),
        (("label", "01J"), "-o"),
        (("label", "01J", "-o", "-", "--json"), "both write to stdout"),
        (("label", "01J", "-o", "x.pdf", "--leg", "3"), "--leg"),
        (("label", "01J", "-o", "x.pdf", "--from-backend", "--route-code", "40"), "--route-code goes onto our own"),
    ],
)
def test_a_mistyped_command_line_is_a_usage_error(shop: Shop, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and a hint of what was meant."""
    ended = shop.call(*words)

    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert said in ended.err


# Settings and keys.


def test_check_config_says_that_it_can_be_used(shop: Shop) -> None:
    """Good settings: exit 0, where orders go, the file's path, no warning."""
    ended = shop.run("check-config")

    titles, route, *rest = ended.out.splitlines()
    assert (ended.code, rest, ended.err) == (Exit.DONE, [f"{shop.config} can be used"], "")
    assert (titles.split()[0], route.split()) == ("PORTAL", ["yukuaiban", "-", "-", "-", "post"])


def test_check_config_as_json(shop: Shop) -> None:
    """Warnings are members of the document."""
    ended = shop.run("check-config", "--json", GOVPOST_INGRESS__HOST="0.0.0.0")  # noqa: S104 - that is what is tested

    document = ended.document()
    assert (ended.code, document["is_valid"], document["path"]) == (Exit.DONE, True, str(shop.config))
    assert [warning.partition(":")[0] for warning in document["warnings"]] == ["[ingress] host"]


def test_check_config_names_each_mistake_and_no_secret(shop: Shop) -> None:
    """Exit code 3, a line a section on stderr, the same in JSON."""
    text = SETTINGS.replace("http://127.0.0.1:9002", "http://post.example").replace("app_id", 'ap_id = "x"\napp_id')
    shop.config.write_text(text, encoding="utf-8")

    ended = shop.run("check-config", "--json")

    assert ended.code == Exit.CONFIGURATION
    assert ended.err.splitlines() == [f"govpost: {error}" for error in ended.document()["errors"]]
    assert ["app_id" in line or "must be https" in line for line in ended.err.splitlines()] == [True, True]
    assert "s3cret" not in ended.out + ended.err


def test_a_missing_settings_file_is_one_line(shop: Shop) -> None:
    """It says what to do about it."""
    ended = shop.run("orders", "list", "--config", "nowhere.toml")

    assert ended.code == Exit.CONFIGURATION
    (line,) = ended.err.splitlines()
    assert "--config or GOVPOST_CONFIG" in line


def test_the_settings_file_can_be_named_by_the_environment(shop: Shop, tmp_path: Path) -> None:
    """GOVPOST_CONFIG stands for --config."""
    named = tmp_path / "named.toml"
    named.write_text("", encoding="utf-8")

    assert shop.run("check-config", "--json", GOVPOST_CONFIG="named.toml").document()["path"] == str(named)


def test_keys_are_made_once_and_rotated(shop: Shop) -> None:
    """`new` refuses to overwrite; `rotate` adds a key; nobody else may read the file."""
    made, again, rotated = (shop.call("keys", *words) for words in (("new", "--json"), ("new",), ("rotate", "--json")))

    assert (made.code, made.document()["key_id"]) == (Exit.DONE, 1)
    assert (again.code, again.out) == (Exit.CONFIGURATION, "")
    assert (rotated.code, rotated.document()["key_id"]) == (Exit.DONE, 2)
    assert (shop.folder / "govpost.key").stat().st_mode & 0o777 == 0o600


def test_nothing_is_rotated_before_there_is_something(shop: Shop) -> None:
    """Where neither keys nor a ledger are made yet, no backup is asked for."""
    ended = shop.call("keys", "rotate")

    assert ended.code == Exit.CONFIGURATION
    assert ("govpost serve" in ended.err, "backup" in ended.err) == (True, False)


@pytest.mark.usefixtures("order_id")
def test_no_new_keys_for_a_ledger_that_has_lost_its_own(shop: Shop) -> None:
    """A new key could not open what the lost one sealed: the backup is asked for."""
    (shop.folder / "govpost.key").unlink()

    ended = shop.call("keys", "new")

    assert ended.code == Exit.CONFIGURATION
    assert "backup" in ended.err
    assert not (shop.folder / "govpost.key").exists()


# Orders.


def test_looking_does_not_make_a_ledger(shop: Shop) -> None:
    """Reading where there is no ledger: exit code 4, and still none afterwards."""
    ended = shop.call("orders", "list")

    assert ended.code == Exit.UNAVAILABLE
    assert "govpost serve" in ended.err
    assert sorted(path.name for path in shop.folder.iterdir()) == ["govpost.toml"]


def test_lists_orders(shop: Shop, order_id: str) -> None:
    """A line an order under its titles, aligned, nothing personal."""
    ended = shop.run("orders", "list")

    titles, line = ended.out.splitlines()
    assert (ended.code, titles.split()[0], line.split()[:4]) == (
        Exit.DONE,
        "ORDER",
        [order_id, "yukuaiban", "YKB-1", "collected"],
    )
    assert titles.index("PORTAL_REF") == line.index("YKB-1")
    assert_nothing_personal(ended.out, ended.err)


def test_lists_orders_as_json(shop: Shop, order_id: str) -> None:
    """One document; times as UTC; the cursor beside the rows."""
    document = shop.call("orders", "list", "--portal", "yukuaiban", "--status", "collected", "--json").document()

    (row,) = document["orders"]
    assert (row["order_id"], row["waybill_nos"], row["accepted_at"]) == (
        order_id,
        {"1": WAYBILL},
        "2026-01-02T03:04:05Z",
    )
    assert document["cursor"] is None


@pytest.mark.parametrize(
    ("words", "stdin", "found"),
    [
        (("--phone", "-"), f"{PHONE}\n", 1),
        (("--id-no", "-"), f"{ID_NO}\n", 1),
        (("--status", "delivered"), "", 0),
        (("--since", "2026-01-03"), "", 0),
    ],
)
@pytest.mark.usefixtures("order_id")
def test_filters_orders(shop: Shop, words: tuple[str, ...], stdin: str, found: int) -> None:
    """By what is in the clear, or by a person, whose number may come from stdin."""
    ended = shop.call("orders", "list", *words, "--json", stdin=stdin)

    assert (ended.code, len(ended.document()["orders"])) == (Exit.DONE, found)
    assert_nothing_personal(ended.out, ended.err)


@pytest.mark.parametrize("reference", ["yukuaiban/YKB-1", WAYBILL])
def test_finds_an_order_by_any_of_its_numbers(shop: Shop, order_id: str, reference: str) -> None:
    """Ours, the portal's, or the waybill's."""
    ended = shop.call("orders", "show", reference, "--json")

    assert ended.document()["row"]["order_id"] == order_id


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_shows_an_order_masked(shop: Shop, order_id: str, words: tuple[str, ...]) -> None:
    """Persons are masked, free text is hidden, the rest is there."""
    ended = shop.call("orders", "show", order_id, *words)

    assert ended.code == Exit.DONE
    assert_nothing_personal(ended.out, ended.err)
    assert "李*" in ended.out
    assert "139******78" in ended.out
    assert "营业执照" in ended.out


def test_shows_an_order_in_full_when_told_to(shop: Shop, order_id: str) -> None:
    """`--unmasked` is the one way to see it all."""
    ended = shop.call("orders", "show", order_id, "--unmasked", "--json")

    recipient = ended.document()["order"]["recipient"]
    assert (recipient["name"], recipient["phone"]) == ("李雷", PHONE)


@pytest.mark.parametrize("words", [("orders", "show"), ("explain",)])
@pytest.mark.usefixtures("order_id")
def test_an_unknown_order_is_not_found(shop: Shop, words: tuple[str, ...]) -> None:
    """Exit code 5 and where to look."""
    ended = shop.call(*words, "01J00000000000000000000000")

    assert (ended.code, ended.out) == (Exit.NOT_FOUND, "")
    assert "govpost orders list" in ended.err


def test_explains_an_order(shop: Shop, order_id: str) -> None:
    """In plain words for people, as a document for programs, without anything personal."""
    told, document = shop.call("explain", "yukuaiban/YKB-1"), shop.call("explain", WAYBILL, "--json")

    assert (told.code, document.code) == (Exit.DONE, Exit.DONE)
    assert "collected" in told.out
    assert document.document()["order_id"] == order_id
    assert_nothing_personal(told.out, told.err, document.out, document.err)


# Deliveries.


def test_lists_dead_deliveries(shop: Shop, dead_id: str) -> None:
    """Why each is dead; the far side's own words only when asked for."""
    ended = shop.call("dead", "list")
    hidden, shown = (shop.call("dead", "list", "--json", *words).document() for words in ((), ("--unmasked",)))

    assert dead_id in ended.out
    assert "BAD_PHONE" in ended.out
    assert_nothing_personal(ended.out)
    assert [letter["text"] for letter in (*hidden["dead"], *shown["dead"])] == ["***", FAR_TEXT]


def test_a_dead_delivery_can_be_replayed_once(shop: Shop, dead_id: str) -> None:
    """Afterwards it is alive, and a second replay is refused with exit code 1."""
    first, second = (shop.call("dead", "replay", dead_id) for _ in range(2))

    assert (first.code, second.code) == (Exit.DONE, Exit.NOT_DONE)
    assert len(second.err.splitlines()) == 1
    assert shop.call("dead", "list", "--json").document()["dead"] == []


def test_a_dead_delivery_can_be_dropped(shop: Shop, dead_id: str) -> None:
    """With a reason, it is gone from the list for good."""
    ended = shop.call("dead", "drop", dead_id, "--reason", "sent by hand", "--json")

    assert (ended.code, ended.document()) == (Exit.DONE, {"delivery_id": dead_id, "state": "dropped"})
    assert shop.call("dead", "list").out == "nothing is dead\n"


def test_lanes_pause_and_resume(shop: Shop, order_id: str) -> None:
    """A paused lane is listed with its reason until it is resumed."""
    lane = (order_id, "yukuaiban")

    assert shop.call("lanes", "pause", *lane, "--reason", "portal asked").code == Exit.DONE
    rows = shop.call("lanes", "list", "--json").document()["lanes"]
    assert [row["reason"] for row in rows if row["destination"] == "yukuaiban"] == ["portal asked"]
    assert shop.call("lanes", "resume", *lane).code == Exit.DONE
    assert shop.call("lanes", "resume", *lane).code == Exit.NOT_DONE


@pytest.mark.usefixtures("order_id")
def test_destinations_pause_and_resume(shop: Shop) -> None:
    """A destination is listed with its state; names are those of the settings."""
    states = []
    for words in (("pause", "post", "--reason", "maintenance"), ("resume", "post")):
        assert shop.call("destinations", *words).code == Exit.DONE
        rows = shop.call("destinations", "list", "--json").document()["destinations"]
        states += [row["state"] for row in rows if row["destination"] == "post"]

    assert states == ["paused", "open"]


@pytest.mark.usefixtures("order_id")
def test_an_unknown_destination_is_not_found(shop: Shop) -> None:
    """Exit code 5 with the nearest name."""
    ended = shop.call("destinations", "pause", "pots", "--reason", "x")

    assert ended.code == Exit.NOT_FOUND
    assert "did you mean 'post'?" in ended.err


# The daemon.


@pytest.fixture
def daemon(shop: Shop) -> Iterator[subprocess.Popen[str]]:
    """Start `govpost serve` on a free port, without backends to deliver to."""
    shop.config.write_text('[ingress]\nport = 0\n[api]\ntokens = ["short"]\n', encoding="utf-8")
    command = [sys.executable, "-m", "govpost.gateway.cli", "serve"]
    with subprocess.Popen(command, cwd=shop.folder, stderr=subprocess.PIPE, encoding="utf-8") as process:
        yield process
        process.kill()


def test_serves_until_told_to_stop(shop: Shop, daemon: subprocess.Popen[str]) -> None:
    """It makes the ledger, says where it listens, answers, and ends with 0 on SIGTERM; its log is JSON throughout."""
    assert daemon.stderr is not None
    records = []
    for line in daemon.stderr:
        records.append(json.loads(line))
        if records[-1]["event"] == "gateway.started":
            break
    connection = HTTPConnection("127.0.0.1", records[-1]["port"], timeout=10)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    daemon.send_signal(signal.SIGTERM)
    records += [json.loads(line) for line in daemon.stderr]

    assert (status, daemon.wait(timeout=20)) == (200, Exit.DONE)
    assert {"config.warning", "gateway.started", "gateway.stopped"} <= {record["event"] for record in records}
    assert (shop.folder / "govpost.db").exists()
    assert shop.run("orders", "list").out == "no orders\n"


# Commands of other packages.


@pytest.fixture
def stranger(tmp_path: Path) -> str:
    """Install a distribution with one command that works and one that cannot be loaded; returns its folder."""
    folder = tmp_path / "stranger"
    information = folder / "stranger-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(
        "[govpost.commands]\nhello = stranger:app\nbroken = stranger_broken:app\nserve = stranger:app\n",
        encoding="utf-8",
    )
    (folder / "stranger.py").write_text(
        '"""Say hello."""\nimport typer\nfrom govpost.schemas.errors import ConfigurationError\napp = typer.Typer()\n'
        "@app.command()\ndef hello(name: str) -> None:\n"
        "    if name == 'bug':\n        raise RuntimeError('13912345678')\n"
        "    if name == 'nobody':\n        raise ConfigurationError('nobody is there')\n"
        "    typer.echo(f'hello {name}')\n",
        encoding="utf-8",
    )
    (folder / "stranger_broken.py").write_text('"""Break."""\nimport not_installed_anywhere\n', encoding="utf-8")
    return str(folder)


def test_other_packages_add_commands(shop: Shop, stranger: str) -> None:
    """A typer application under `govpost.commands` is a command like ours, its errors included."""
    said, failed = (shop.run("hello", name, PYTHONPATH=stranger) for name in ("world", "nobody"))

    assert (said.code, said.out) == (Exit.DONE, "hello world\n")
    assert (failed.code, failed.err) == (Exit.CONFIGURATION, "govpost: nobody is there\n")


def test_a_fault_of_our_own_is_one_line_without_values(shop: Shop, stranger: str) -> None:
    """What nobody expected is told by its type and place: its text may hold anything."""
    ended = shop.run("hello", "bug", PYTHONPATH=stranger)

    (line,) = ended.err.splitlines()
    assert (ended.code, ended.out) == (Exit.NOT_DONE, "")
    assert "RuntimeError at " in line
    assert_nothing_personal(line)


def test_a_broken_command_disturbs_nothing_else(shop: Shop, stranger: str) -> None:
    """It is reported when it is called; help and our commands go on, and none of ours can be replaced."""
    listed = shop.run("--help", PYTHONPATH=stranger)
    broken = shop.run("broken", PYTHONPATH=stranger)
    checked = shop.run("check-config", PYTHONPATH=stranger)

    assert (listed.code, broken.code, checked.code) == (Exit.DONE, Exit.NOT_DONE, Exit.DONE)
    assert "Say hello." in listed.out
    assert "Take orders" in listed.out
    (line,) = broken.err.splitlines()
    assert "'broken' of stranger cannot be loaded (ModuleNotFoundError)" in line


# What waits beside the orders.


REFUSED = Refuse("P-7", "SJR.LXDH: is no phone number", {"SBLSH": "P-7", "SJR": {"XM": "李雷"}}, "SJR.LXDH")
STRAY = Event(event_id="E-9", status=Status.COLLECTED, occurred_at=NOW, waybill_no="EA000000014CN", note=FAR_TEXT)


@pytest.fixture
def beside(shop: Shop) -> Shop:
    """Give a ledger in which an order was refused and an event has none."""
    with ledger_of(shop) as ledger:
        poll = ledger.begin_poll("yukuaiban", lease_s=1).result()
        assert poll is not None
        ledger.take_page(poll, [REFUSED], cursor="", again_s=1).result()
        ledger.tell("post", Telling(STRAY, None, "EA000000014CN")).result()
    return shop


def test_refused_orders_are_listed_and_shown(beside: Shop) -> None:
    """Why, by the portal's number; what was handed over only to who asks for it."""
    listed = beside.call("refused", "list", "--json").document()["refused"]
    assert [(row["portal_ref"], row["reason"]) for row in listed] == [("P-7", "SJR.LXDH: is no phone number")]
    assert "李雷" not in beside.call("refused", "show", "yukuaiban/P-7").out
    shown = beside.call("refused", "show", "yukuaiban/P-7", "--unmasked", "--json").document()
    assert shown["content"] == {"SBLSH": "P-7", "SJR": {"XM": "李雷"}}
    missing = beside.call("refused", "show", "yukuaiban/P-8")
    assert (missing.code, "govpost refused list --all" in missing.err) == (Exit.NOT_FOUND, True)
    assert beside.call("refused", "list", "--portal", "yukuaibna").code == Exit.NOT_FOUND


def test_strays_are_listed(beside: Shop) -> None:
    """By backend and waybill number, without what they say."""
    ended = beside.call("strays")
    assert "EA000000014CN" in ended.out
    assert FAR_TEXT not in ended.out


def test_who_has_no_books_cannot_be_compared_with(beside: Shop) -> None:
    """Nor can a date that is none."""
    assert beside.call("reconcile", "yukuaiban", "2026-01-01").code == Exit.NOT_DONE
    assert beside.call("reconcile", "nobody", "2026-01-01").code == Exit.NOT_FOUND
    assert beside.call("reconcile", "yukuaiban", "2026-13-01").code == Exit.USAGE


def test_the_table_of_routes_is_shown(shop: Shop) -> None:
    """As it is tried, the portals' own backends last."""
    route = '[[routes]]\ndirection = "round_trip"\nbackend = "post"\n'
    shop.config.write_text(shop.config.read_text(encoding="utf-8") + route, encoding="utf-8")
    rows = shop.call("check-config", "--json").document()["routes"]
    assert [(row["portal"], row["direction"], row["backend"]) for row in rows] == [
        (None, "round_trip", "post"),
        ("yukuaiban", None, "post"),
    ]
    assert "round_trip" in shop.call("check-config").out


# Labels.


def test_a_label_is_made(shop: Shop, order_id: str) -> None:
    """The file is a PDF that its owner alone may read; what is printed names file and number, nothing personal."""
    ended = shop.call("label", order_id, "-o", str(shop.folder / "x.pdf"))

    assert (ended.code, ended.out, ended.err) == (Exit.DONE, f"{shop.folder / 'x.pdf'} is the label of {WAYBILL}\n", "")
    assert (shop.folder / "x.pdf").read_bytes().startswith(b"%PDF-")
    assert (shop.folder / "x.pdf").stat().st_mode & 0o777 == 0o600
    assert_nothing_personal(ended.out)


@pytest.mark.usefixtures("order_id")
def test_a_label_as_json(shop: Shop) -> None:
    """The order may be named by its waybill; the document says what was made, and where."""
    path = str(shop.folder / "x.pdf")

    document = shop.call("label", WAYBILL, "-o", path, "--json").document()

    assert (document["leg"], document["waybill_no"], document["path"]) == (1, WAYBILL, path)


def test_a_label_goes_down_a_pipe(shop: Shop, order_id: str) -> None:
    """`-o -` writes the same bytes to stdout, for a printer's queue."""
    shop.call("label", order_id, "-o", str(shop.folder / "x.pdf"))
    done = subprocess.run(
        [sys.executable, "-m", "govpost.gateway.cli", "label", order_id, "-o", "-", "--config", str(shop.config)],
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == (shop.folder / "x.pdf").read_bytes()


@pytest.fixture
def round_trip_id(shop: Shop) -> str:
    """Put a round trip into the ledger whose second leg alone has a number; returns its id."""
    command = Place(OrderContent.model_validate({**ORDER, "direction": "round_trip"}), {"orderNo": "YKB-1"})
    with ledger_of(shop) as ledger:
        placed = ledger.execute("yukuaiban", command, backend="post").result()
        assert isinstance(placed, Placed)
        event = Event(event_id="e-2", status=Status.COLLECTED, occurred_at=NOW, leg=2, waybill_no=WAYBILL)
        ledger.record(placed.order_id, event).result()
    return placed.order_id


def test_each_leg_has_a_label_of_its_own(shop: Shop, round_trip_id: str) -> None:
    """`--leg 2` is the way back; leg 1, which has no number yet, says what to do."""
    path = str(shop.folder / "x.pdf")
    there, back = (shop.call("label", round_trip_id, "-o", path, "--leg", leg) for leg in ("1", "2"))

    assert (there.code, there.out) == (Exit.NOT_DONE, "")
    assert "leg 1 no waybill number yet" in there.err
    assert f"`govpost explain {round_trip_id}`" in there.err
    assert back.code == Exit.DONE


def test_a_one_way_order_has_no_label_back(shop: Shop, order_id: str) -> None:
    """It is told so, not sent to wait for a number that never comes."""
    ended = shop.call("label", order_id, "-o", str(shop.folder / "x.pdf"), "--leg", "2")

    assert (ended.code, ended.err) == (Exit.NOT_DONE, "govpost: leg: the order is no round trip\n")


def test_a_backend_without_labels_is_said(shop: Shop, order_id: str) -> None:
    """And what to do instead."""
    ended = shop.call("label", order_id, "-o", str(shop.folder / "x.pdf"), "--from-backend")

    assert ended.code == Exit.NOT_DONE
    assert ended.err == "govpost: backend post makes no labels; leave --from-backend out for a label of our own\n"
    assert not (shop.folder / "x.pdf").exists()


@pytest.mark.usefixtures("order_id")
def test_an_unknown_order_has_no_label(shop: Shop) -> None:
    """Exit code 5, and no file."""
    ended = shop.call("label", "yukuaiban/YKB-2", "-o", str(shop.folder / "x.pdf"))

    assert ended.code == Exit.NOT_FOUND
    assert not (shop.folder / "x.pdf").exists()


def test_a_label_overwrites_only_when_told_to(shop: Shop, order_id: str) -> None:
    """A slip of the hand must not cost a ledger; `--force` replaces files, and only files."""
    path, link = shop.folder / "x.pdf", shop.folder / "link"
    path.write_bytes(b"before")
    link.symlink_to("/dev/null")

    refused = shop.call("label", order_id, "-o", str(path))
    not_a_file = shop.call("label", order_id, "-o", str(link), "--force")
    assert (refused.code, path.read_bytes()) == (Exit.NOT_DONE, b"before")
    assert "--force" in refused.err
    assert (not_a_file.code, link.is_symlink()) == (Exit.NOT_DONE, True)

    assert shop.call("label", order_id, "-o", str(path), "--force").code == Exit.DONE
    assert path.read_bytes().startswith(b"%PDF-")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_label_that_cannot_be_written_leaves_nothing(shop: Shop, order_id: str) -> None:
    """One line says why; no half of a file stays behind."""
    before = sorted(shop.folder.iterdir())

    nowhere = shop.call("label", order_id, "-o", str(shop.folder / "none" / "x.pdf"))
    too_long = shop.call("label", order_id, "-o", str(shop.folder / ("x" * 250)))

    assert [ended.code for ended in (nowhere, too_long)] == [Exit.NOT_DONE] * 2
    assert [len(ended.err.splitlines()) for ended in (nowhere, too_long)] == [1, 1]
    assert "cannot be written (No such file or directory)" in nowhere.err
    assert sorted(shop.folder.iterdir()) == before


def test_half_a_label_is_none(tmp_path: Path) -> None:
    """Where the disk takes no more, the file is not there, nor what was written of it, nor the old one gone."""
    path = tmp_path / "x.pdf"
    path.write_bytes(b"before")
    script = """
import resource, sys
from pathlib import Path
from govpost.gateway.cli.label import _save
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
_save(Path(sys.argv[1]), bytes(1000), replace=True)
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (
        Exit.NOT_DONE,
        f"govpost: {path} cannot be written (File too large)\n".encode(),
    )
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("x.pdf", b"before")]
