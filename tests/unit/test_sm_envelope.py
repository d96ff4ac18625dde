"""The SM envelope: what is signed, what is sealed, and what an envelope must be to be opened."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey
from govpost.adapters.protocols.sm_envelope import Envelope, Envelopes, read_cipher_key, read_envelope
from govpost.schemas.errors import MappingError, UnreadableError

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))
EXAMPLE = EXAMPLES["chuanyu_tongban"]
ENVELOPE = EXAMPLE["envelope"]
PAIRS = EXAMPLES["keys"]["sm2"]
CIPHER_KEY = bytes.fromhex(EXAMPLES["keys"]["chuanyu_tongban"]["sm4_key"])
PORTAL, OURS = PAIRS["portal"], PAIRS["gateway"]
AT = datetime.fromtimestamp(1701389550, UTC)
CONTENT = json.dumps(EXAMPLE["opens_to"], ensure_ascii=False, separators=(",", ":")).encode()
MEMBERS = ["appCode", "version", "encType", "signType", "timestamp", "reqId", "encData"]


def _side(pair=OURS, *, verify=(PORTAL["public"],)):
    """Make what one side has: its own pair, and the keys it verifies with."""
    keys = [VerifyingKey(public) for public in verify]
    return Envelopes("CY50POST", cipher_key=CIPHER_KEY, sign_key=SigningKey(pair["private"]), verify_keys=keys)


def _example(**changes):
    return read_envelope(json.dumps({**ENVELOPE, **changes}).encode())


def test_the_worked_example_is_reproduced():
    """All but the signature equal the example's byte for byte, and the signature verifies."""
    body = _side(PORTAL).seal(CONTENT, req_id=ENVELOPE["reqId"], at=AT)
    assert json.loads(body) == {**ENVELOPE, "signData": json.loads(body)["signData"]}
    assert list(json.loads(body)) == list(ENVELOPE)
    assert _side().is_authentic(read_envelope(body))


def test_the_signed_text_is_the_examples():
    """Names sorted, values as they are."""
    assert _example().signed_text.decode() == EXAMPLE["signed_text"]


def test_the_worked_example_is_opened():
    """What the portal sealed is authentic and holds what the example says."""
    assert _side().is_authentic(_example())
    assert _side().open(_example()) == EXAMPLE["opens_to"]


@pytest.mark.parametrize("name", [*MEMBERS, "signData"])
@pytest.mark.parametrize("value", ["", None, 7, "0", "CY50POSU", "A" * 88, "é", "A&reqId=1"])
def test_a_member_that_was_changed_breaks_the_signature(name, value):
    """Each one, made another text, another type, or taken away."""
    changed = {**ENVELOPE, name: value}
    assert not _side().is_authentic(read_envelope(json.dumps(changed).encode()))
    del changed[name]
    assert not _side().is_authentic(read_envelope(json.dumps(changed).encode()))


def test_two_keys_may_be_live_at_once():
    """While a key is rotated both verify; once one is retired it does not."""
    both = _side(verify=(PAIRS["court"]["public"], PORTAL["public"]))
    retired = _side(verify=(PAIRS["court"]["public"],))
    for pair, still in ((PORTAL, False), (PAIRS["court"], True)):
        envelope = read_envelope(_side(pair).seal(b"{}", req_id="0" * 32, at=AT))
        assert both.is_authentic(envelope)
        assert retired.is_authentic(envelope) is still


def test_our_own_signature_is_not_theirs():
    """An envelope of ours that is sent back to us is not authentic."""
    assert not _side().is_authentic(read_envelope(_side().seal(b"{}", req_id="0" * 32, at=AT)))


def test_the_same_content_is_sealed_alike():
    """A retry has the same encData under another signature."""
    first, second = (read_envelope(_side().seal(CONTENT, req_id="0" * 32, at=AT)) for _ in range(2))
    assert first.enc_data == second.enc_data == ENVELOPE["encData"]
    assert first.sign_data != second.sign_data


@pytest.mark.parametrize("name", ["version", "encType", "signType"])
@pytest.mark.parametrize("value", ["", "SM9", "1.0.1", "sm4"])
def test_another_kind_of_envelope_is_not_opened(name, value):
    """Version and algorithms are one each, and refused by name."""
    with pytest.raises(MappingError, match="must be") as caught:
        _side().open(_example(**{name: value}))
    assert caught.value.path == name


@pytest.mark.parametrize(
    "enc_data",
    ["", "zz", "A", "AB", ENVELOPE["encData"][:-2], ENVELOPE["encData"][:-32], "00" * 32, "é"],
)
def test_why_data_does_not_open_is_not_said(enc_data):
    """Hex, blocks, padding and JSON fail alike."""
    with pytest.raises(MappingError, match=r"^encData: does not open to a JSON object$"):
        _side().open(_example(encData=enc_data))


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', b"{" * 50])
def test_what_opens_must_be_an_object(content):
    """Well sealed rubbish is rubbish."""
    sealed = read_envelope(_side(PORTAL).seal(content, req_id="0" * 32, at=AT))
    with pytest.raises(MappingError, match=r"^encData: does not open to a JSON object$"):
        _side().open(sealed)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"x"'])
def test_an_envelope_is_a_json_object(body):
    """Anything else cannot be read at all."""
    with pytest.raises(UnreadableError):
        read_envelope(body)


def test_an_envelope_does_not_show_what_it_holds():
    """Its repr has neither data nor signature."""
    assert ENVELOPE["encData"][:32] not in repr(_example())
    assert ENVELOPE["signData"] not in repr(_example())


def test_no_more_members_are_signed_than_the_seven():
    """A member that nobody knows is not part of the text."""
    envelope = Envelope(app_code="a", timestamp="1", req_id="r", enc_data="E")
    text = b"appCode=a&encData=E&encType=SM4&reqId=r&signType=SM2&timestamp=1&version=1.0.0"
    assert envelope.signed_text == text
    assert read_envelope(json.dumps({**ENVELOPE, "traceId": "x"}).encode()) == _example()


def test_signatures_of_another_length_do_not_fit():
    """Base64 of what is no signature is not authentic, whatever its length."""
    assert not any(_side().is_authentic(_example(signData=b64encode(bytes(n)).decode())) for n in (0, 63, 64, 65, 72))


@pytest.mark.parametrize("junk", ["\n", " ", "*", "é"])
def test_base64_is_nothing_but_base64(junk):
    """A character that does not belong there is not skipped."""
    assert not _side().is_authentic(_example(signData=ENVELOPE["signData"] + junk))
    assert not _side().is_authentic(_example(signData=junk + ENVELOPE["signData"]))


@pytest.mark.parametrize("key", ["", "10" * 15, "10" * 17, "zz" * 16])
def test_a_cipher_key_has_sixteen_bytes(key):
    """Any other is refused, and not shown."""
    with pytest.raises(ValueError, match=r"^must be 16 bytes in hex$"):
        read_cipher_key(key)
