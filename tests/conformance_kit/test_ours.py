"""Our own adapters: held to the kit, and README and docs to what it finds."""

import json
from pathlib import Path

import pytest

from govpost.tests.conformance import matrix
from govpost.tests.conformance.report import run
from govpost.tests.conformance.subject import load_subject

TREE = Path(__file__).parents[2]
LEVELS = {
    key: matrix.Standing(found["level"], tuple(found["exempt"]))
    for key, found in json.loads((TREE / "docs/levels.json").read_text("utf-8")).items()
}


@pytest.mark.parametrize("key", matrix.our_keys())
def test_our_adapter_conforms(key):
    """Every check passes or is exempt, and docs/levels.json says so (make matrix)."""
    report = run(load_subject(key))
    assert report.is_sound, "\n".join(report.lines())
    assert matrix.standing(report) == LEVELS.get(key)


@pytest.mark.parametrize(
    ("file", "name", "block"),
    [
        ("README.md", "capabilities", lambda: matrix.capabilities(map(load_subject, matrix.our_keys()), LEVELS)),
        ("docs/conformance.md", "checks", matrix.checks),
    ],
)
def test_the_table_is_current(file, name, block):
    """It says what the manifests and the kit say (make matrix)."""
    text = (TREE / file).read_text("utf-8")
    assert matrix.between_markers(text, name, block()) == text


def test_a_block_goes_between_its_markers_only():
    """What stands around it stays, its comment too; without markers nothing is guessed."""
    text = "a\n<!-- t: begin (make) -->\nold\n<!-- t: end -->\nb\n"
    assert matrix.between_markers(text, "t", "new\n") == "a\n<!-- t: begin (make) -->\nnew\n<!-- t: end -->\nb\n"
    with pytest.raises(ValueError, match="markers of u"):
        matrix.between_markers(text, "u", "new\n")
