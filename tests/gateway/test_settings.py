"""The settings: where each value comes from, and what is said of one that does not fit."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from govpost.gateway.check import check_settings
from govpost.gateway.settings import Settings, find_settings_file, load_settings
from govpost.schemas.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("clean_environment")

FULL = """
[ledger]
url = "sqlite:///data/govpost.db"
key_file = "keys/govpost.key"
[ingress]
port = 8081
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

Write = Callable[[str], Path]


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every GOVPOST_ variable out of the environment."""
    for name in list(os.environ):
        if name.startswith("GOVPOST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes a settings file for its owner only, and returns its path."""

    def write_settings(text: str) -> Path:
        path = tmp_path / "govpost.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write_settings


def test_reads_every_section(write: Write) -> None:
    """Each section of the file arrives in its own value object."""
    settings = load_settings(write(FULL))

    assert settings.ingress.port == 8081
    assert [token.get_secret_value() for token in settings.api.tokens] == ["token-of-the-backend-1"]
    portal, backend = settings.portals["yukuaiban"], settings.backends["post"]
    assert (portal.name, portal.adapter_key, portal.backend) == ("yukuaiban", "yukuaiban", "post")
    assert (backend.name, backend.adapter_key) == ("post", "webhook")
    assert sorted(portal.options) == ["app_id", "app_key", "app_secret", "base_url"]
    assert sorted(backend.options) == ["secret", "url"]


def test_an_empty_file_gives_the_defaults(write: Write) -> None:
    """Nothing has to be set to get a ledger beside the file and a loopback listener."""
    path = write("")
    settings = load_settings(path)

    assert settings.ledger.url == f"sqlite:///{path.parent}/govpost.db"
    assert settings.ledger.key_file == path.parent / "govpost.key"
    assert (settings.ingress.host, settings.ingress.port, settings.ingress.admin_port) == ("127.0.0.1", 8080, None)
    assert settings.relay.give_up_after_s == 7 * 24 * 3600


def test_relative_paths_are_relative_to_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory does not matter, also not for paths from the environment."""
    path = write(FULL)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GOVPOST_LEDGER__KEY_FILE", "other.key")

    settings = load_settings(path)

    assert settings.ledger.file == tmp_path / "data/govpost.db"
    assert settings.ledger.key_file == tmp_path / "other.key"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql://me:pass@db/govpost"])
def test_an_address_that_is_no_file_stays_as_it_is(write: Write, url: str) -> None:
    """Memory and server databases have no path to anchor, and keep their password."""
    settings = load_settings(write(f'[ledger]\nurl = "{url}"'))

    assert settings.ledger.url == url
    assert settings.ledger.file is None


def test_the_environment_wins(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable replaces one key and leaves its neighbours alone."""
    monkeypatch.setenv("GOVPOST_INGRESS__PORT", "9999")
    monkeypatch.setenv("GOVPOST_API__TOKENS", '["first-token-of-two", "second-token-of-two"]')
    monkeypatch.setenv("GOVPOST_PORTALS__YUKUAIBAN__APP_SECRET", "0123456789")

    settings = load_settings(write(FULL))

    assert settings.ingress.port == 9999
    assert len(settings.api.tokens) == 2
    options = settings.portals["yukuaiban"].options
    assert (options["app_secret"], options["app_id"]) == ("0123456789", "govpost")


def test_the_environment_can_add_a_whole_section(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend may be described by variables alone."""
    monkeypatch.setenv("GOVPOST_BACKENDS__SPARE__ADAPTER", "webhook")
    monkeypatch.setenv("GOVPOST_BACKENDS__SPARE__URL", "https://spare.example/orders")

    spare = load_settings(write(FULL)).backends["spare"]

    assert (spare.adapter_key, spare.options) == ("webhook", {"url": "https://spare.example/orders"})


def test_secrets_may_be_files(write: Write, tmp_path: Path) -> None:
    """`<key>_file` gives the key the file's text without its line end; tokens come one a line."""
    (tmp_path / "secret").write_text("from the file\n", encoding="utf-8")
    (tmp_path / "tokens").write_text("first-token\nsecond-token\n", encoding="utf-8")
    text = FULL.replace('app_secret = "s3cret-of-portal"', 'app_secret_file = "secret"')
    text = text.replace('tokens = ["token-of-the-backend-1"]', 'tokens_file = "tokens"')

    settings = load_settings(write(text))

    assert settings.portals["yukuaiban"].options["app_secret"] == "from the file"
    assert [token.get_secret_value() for token in settings.api.tokens] == ["first-token", "second-token"]


def test_kubernetes_variables_are_not_settings(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service called govpost puts into the environment changes nothing."""
    monkeypatch.setenv("GOVPOST_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("GOVPOST_PATH", "/somewhere/else")
    path = write(FULL)

    assert load_settings(path).path == path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[ledgr]", "[ledgr]: unknown section; did you mean 'ledger'?"),
        ('path = "x"', "[path]: unknown section"),
        ('[ledger]\nuri = "x"', "[ledger] uri: unknown key; did you mean 'url'?"),
        ('[ledger]\nurl = "rubbish"', "[ledger] url: is not a database address"),
        ('[ingress]\nport = "many"', "[ingress] port: "),
        ("[ingress]\nport = 70000", "[ingress] port: "),
        ("[ingress]\nport = 80\nadmin_port = 80", "[ingress]: port and admin_port are the same"),
        ("[relay]\nretry_base_s = 0", "[relay] retry_base_s: "),
        ("[relay]\nretry_base_s = inf", "[relay] retry_base_s: "),
        ("[relay]\nretry_base_s = 60\nretry_cap_s = 5", "[relay]: retry_base_s is more than retry_cap_s"),
        ("[relay]\nworker_renew_s = 9", "[relay]: worker_dead_s must be at least twice worker_renew_s"),
        ('[api]\ntokens = ["with space"]', "[api] tokens.0: is not a bearer token"),
        ('[api]\ntokens_file = "nowhere"', "[api] tokens_file: the file cannot be read: "),
        ('[api]\ntokens = ["a"]\ntokens_file = "b"', "[api] tokens_file: tokens is given as well"),
        ("portals = 5", "[portals]: must be a section"),
        ("[portals]\nyukuaiban = 5", "[portals.yukuaiban]: must be a section"),
        ("[portals.Yu-Kuai]", "[portals.Yu-Kuai]: holds a character"),
        ("[portals.a]\nadapter = 5", "[portals.a] adapter: "),
        ('[portals.a]\nbackend = "pots"\n[backends.post]', "there is no [backends.pots]; did you mean 'post'?"),
        ('[portals.a]\nbackend = "b"', "[portals.a] backend: there is no [backends.b]; there are none"),
        ("[portals.a]\n[backends.a]", "[portals.a] and [backends.a] share a name"),
        ("[ledger", "is not TOML: "),
    ],
)  # fmt: skip
def test_says_what_does_not_fit(write: Write, text: str, complaint: str) -> None:
    """Every complaint is a ConfigurationError that names section and key."""
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        load_settings(write(text))


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("GOVPOST_LEDGR__URL", "x", "GOVPOST_LEDGR__URL: unknown section; did you mean 'ledger'?"),
        ("GOVPOST_LEDGER__URI", "x", "[ledger] uri: unknown key; did you mean 'url'?"),
        ("GOVPOST_API__TOKENS", "hush-hush", "JSON"),
    ],
)
def test_says_what_does_not_fit_in_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    """A mistyped variable is an error too, not a setting that quietly does nothing."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as caught:
        load_settings(write(""))

    assert "hush-hush" not in str(caught.value)


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    """The message tells of --config and GOVPOST_CONFIG."""
    with pytest.raises(ConfigurationError, match="--config or GOVPOST_CONFIG"):
        load_settings(tmp_path / "nowhere.toml")


def test_finds_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path given wins over GOVPOST_CONFIG, and that over ./govpost.toml."""
    monkeypatch.chdir(tmp_path)

    assert find_settings_file() == tmp_path / "govpost.toml"
    monkeypatch.setenv("GOVPOST_CONFIG", "named.toml")
    assert find_settings_file() == tmp_path / "named.toml"
    assert find_settings_file(Path("given.toml")) == tmp_path / "given.toml"


def test_never_shows_a_secret(write: Write) -> None:
    """Neither `repr` nor `str` of the settings or of any part of them holds one."""
    settings = load_settings(write(FULL.replace("sqlite:///data/govpost.db", "postgresql://me:s3cret-of-db@db/x")))
    parts = [settings, settings.ledger, settings.api, *settings.portals.values(), *settings.backends.values()]

    for shown in (show(part) for part in parts for show in (repr, str)):
        assert "s3cret" not in shown
        assert "token-of-the-backend" not in shown


def test_settings_cannot_be_changed(write: Write) -> None:
    """They are built once, at the edge."""
    settings = load_settings(write(FULL))

    for value, name in [(settings, "ledger"), (settings.relay, "concurrency"), (settings.portals["yukuaiban"], "name")]:
        with pytest.raises(ValueError, match="frozen"):
            setattr(value, name, None)


def test_good_settings_have_no_warnings(write: Write) -> None:
    """The settings that the README shows are nothing to complain of."""
    assert check_settings(load_settings(write(FULL))) == []


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (
            "[backends.post]\n",
            '[backends.idle]\nadapter = "webhook"\nurl = "https://x.example"\nsecret = "x"\n[backends.post]\n',
            "[backends.idle]: no portal sends orders there",
        ),
        ('tokens = ["token-of-the-backend-1"]', "", "[api] tokens: there is none"),
        ("token-of-the-backend-1", "short", "[api] tokens: one is shorter than 16"),
        ("port = 8081", 'host = "0.0.0.0"', "[ingress] host: open to other machines"),
        (
            'base_url = "http://127.0.0.1:9001"',
            'base_url = "http://portal.example"\nallow_http = true',
            "[portals.yukuaiban] allow_http: orders may travel unencrypted",
        ),
    ],
)
def test_warns_of_what_is_unwise(write: Write, old: str, new: str, warning: str) -> None:
    """What is allowed but dangerous is said aloud."""
    warnings = check_settings(load_settings(write(FULL.replace(old, new))))

    assert [found for found in warnings if found.startswith(warning)] != []


def test_warns_of_secrets_that_others_can_read(write: Write) -> None:
    """A settings file with secrets should be its owner's alone."""
    path = write(FULL)
    path.chmod(0o644)

    (warning,) = check_settings(load_settings(path))

    assert warning.endswith("run chmod 600")


def test_check_names_every_section_that_cannot_work(write: Write) -> None:
    """One line for each: a wrong key, a plain address, an adapter in the wrong place, an unknown one."""
    text = (
        FULL.replace("app_id", 'ap_id = "twice"\napp_id').replace("http://127.0.0.1:9002", "http://post.example")
        + '[portals.upside]\nadapter = "webhook"\nurl = "https://x.example"\nsecret = "x"\n'
        + '[backends.other]\nadapter = "webhok"\n'
    )

    with pytest.raises(ConfigurationError) as caught:
        check_settings(load_settings(write(text)))

    lines = {line.partition(":")[0]: line for line in str(caught.value).splitlines()}
    assert set(lines) == {
        "[portals.yukuaiban] ap_id",
        "[backends.post] url must be https",
        "[portals.upside] adapter",
        "[portals.upside] backend",
        "[backends.other] adapter",
    }
    assert "did you mean 'app_id'?" in lines["[portals.yukuaiban] ap_id"]
    assert "did you mean 'webhook'?" in lines["[backends.other] adapter"]


def test_can_be_built_without_a_file(tmp_path: Path) -> None:
    """A program may hand over the sections itself; paths are then relative to where it says the file would be."""
    settings = Settings(path=tmp_path / "none.toml", ingress={"port": 0})  # type: ignore[arg-type]

    assert (settings.ingress.port, settings.ledger.file) == (0, tmp_path / "govpost.db")
