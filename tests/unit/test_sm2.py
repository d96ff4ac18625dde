"""SM2: the standard's example, signatures both ways and in both forms, keys that are none."""

import json
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey, der_from_raw, raw_from_der

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))
VECTOR = EXAMPLES["vectors"]["sm2_sign"]
PAIRS = EXAMPLES["keys"]["sm2"]
RAW = bytes.fromhex(VECTOR["r"] + VECTOR["s"])
MESSAGE = VECTOR["message"].encode()
PUBLIC, PRIVATE = VECTOR["public"], VECTOR["private"]
#: Order of the group (GB/T 32918.5), as the standard prints it.
ORDER = "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123"


@pytest.mark.parametrize("public", [PUBLIC, PUBLIC.upper(), f"04{PUBLIC}"])
def test_the_standards_signature_is_verified(public):
    """The published example holds under its id, with the key in any of the forms that settings may have."""
    assert VerifyingKey(public).verify(RAW, MESSAGE)


def test_a_signature_of_somebody_elses_making_is_verified():
    """The signatures of the contract's worked examples come from another library."""
    example = EXAMPLES["chuanyu_tongban"]
    key = VerifyingKey(PAIRS["portal"]["public"])
    assert key.verify(b64decode(example["envelope"]["signData"]), example["signed_text"].encode())


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_signed_is_verified(name):
    """Each pair of the examples fits together, and no other pair's key verifies what one has signed."""
    signing, message = SigningKey(PAIRS[name]["private"]), "重庆𠮷".encode()
    assert signing.public == PAIRS[name]["public"]
    signature = signing.sign(message)
    assert len(signature) == 64
    fitting = [other for other in PAIRS if VerifyingKey(PAIRS[other]["public"]).verify(signature, message)]
    assert fitting == [name]


def test_no_two_signatures_are_alike():
    """A nonce that came twice would give the private key away."""
    key = SigningKey(PRIVATE)
    assert len({key.sign(MESSAGE)[:32] for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        b"\xff" * 64,
        RAW[:63],
        RAW + b"\0",
        RAW[32:] + RAW[:32],
        RAW[:32] + bytes(32),
        bytes(32) + RAW[32:],
        bytes.fromhex(ORDER) + RAW[32:],
        bytes([RAW[0] ^ 1]) + RAW[1:],
        der_from_raw(RAW),
    ],
)
def test_what_does_not_fit_is_no_signature(signature):
    """Wrong lengths, numbers out of range and single bits are answered no, without an error."""
    assert not VerifyingKey(PUBLIC).verify(signature, MESSAGE)


def test_another_message_does_not_fit():
    """Neither a longer nor an empty one."""
    key = VerifyingKey(PUBLIC)
    assert [key.verify(RAW, message) for message in (MESSAGE, MESSAGE + b"\0", b"")] == [True, False, False]


def test_der_holds_the_same_two_numbers():
    """Both forms are one signature; DER leaves leading zeros out and puts one before a high bit."""
    raw = b"\x00" * 31 + b"\x05" + b"\xff" + b"\x00" * 31
    der = der_from_raw(raw)
    assert der.hex() == "3026020105022100" + raw[32:].hex()
    assert raw_from_der(der) == raw
    assert raw_from_der(der_from_raw(RAW)) == RAW


@pytest.mark.parametrize(
    "der",
    [
        "",
        "30",
        "3006020101020101" + "00",
        "300602010102",
        "30060201ff020101",
        "3027020105022201" + "00" * 33,
        "300702020001020101",
    ],
)
def test_what_is_no_der_is_refused(der):
    """Rubbish, negative and too long numbers, numbers written longer than need be, and what is left over."""
    with pytest.raises(ValueError, match=r"^is not a signature in DER$"):
        raw_from_der(bytes.fromhex(der))


def test_a_raw_signature_has_its_length():
    """DER is made of 64 bytes."""
    with pytest.raises(ValueError, match="64 bytes"):
        der_from_raw(RAW[:63])


@pytest.mark.parametrize(
    "public",
    [
        "",
        PUBLIC[:-2],
        PUBLIC + "00",
        f"05{PUBLIC}",
        f"02{PUBLIC[:64]}",
        PUBLIC[:-1] + "g",
        PUBLIC[:-1] + "0",
        f" {PUBLIC[1:]}",
        "0" * 128,
        "f" * 128,
    ],
)
def test_a_public_key_is_a_point_of_the_curve(public):
    """Any other text is refused, and not shown."""
    with pytest.raises(ValueError, match="SM2 public key") as caught:
        VerifyingKey(public)
    assert not public or public not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "private",
    [
        "",
        PRIVATE[:-2],
        PRIVATE + "00",
        PRIVATE[:-1] + "g",
        "0" * 64,
        "f" * 64,
        ORDER,
        f"{int(ORDER, 16) - 1:064x}",
    ],
)
def test_a_private_key_lies_within_the_order(private):
    """Any other is refused, and not shown: with order - 1 signing would never end."""
    with pytest.raises(ValueError, match="SM2 private key") as caught:
        SigningKey(private)
    assert not private or private not in str(caught.value)


def test_the_largest_private_key_signs():
    """Order - 2 is the last one."""
    key = SigningKey(f"{int(ORDER, 16) - 2:064x}")
    assert VerifyingKey(key.public).verify(key.sign(MESSAGE), MESSAGE)


def test_keys_do_not_show_themselves():
    """A repr has no digit of a key."""
    assert PRIVATE[:8] not in repr(SigningKey(PRIVATE))


def test_threads_may_share_keys():
    """Eight threads sign and verify with the same two keys at once."""
    signing = SigningKey(PRIVATE)
    verifying = VerifyingKey(PUBLIC)

    def round_trip(number):
        message = str(number).encode()
        return verifying.verify(signing.sign(message), message)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(200)))
