"""A service whose own modules are called like our folders uses govpost without a clash."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import adapters
import gateway
import mocks.fake
import schemas
import tests

from govpost import Gateway
from govpost.adapters.registry import adapter_keys, load_adapter
from govpost.mocks.registry import find_mocks, load_mock
from govpost.schemas import Order

assert [each.WHOSE for each in (adapters, gateway, mocks.fake, schemas, tests)] == ["the service's"] * 5
assert Order.__module__ == "govpost.schemas.order"
assert Gateway.__module__.startswith("govpost.gateway.")
for key in adapter_keys():
    assert load_adapter(key).factory.__module__.startswith("govpost.adapters.")
for key in find_mocks():
    assert load_mock(key).__module__.startswith("govpost.mocks.")
print("no clash")
"""

#: What the service has of its own.
FILES = ("schemas.py", "gateway.py", "adapters/__init__.py", "mocks/__init__.py", "mocks/fake.py", "tests/__init__.py")


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """Lay out a service with a schemas.py, mocks/ and adapters/ of its own."""
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('WHOSE = "the service\'s"\n', encoding="utf-8")
    (tmp_path / "app.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("start", [["app.py"], ["-m", "app"]], ids=["script", "module"])
def test_a_service_with_folders_of_the_same_names_imports_govpost(service: Path, start: list[str]) -> None:
    """Its schemas, adapters, mocks, gateway and tests stay its own, and ours stay ours."""
    command = [sys.executable, *start]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=service)

    assert (done.returncode, done.stdout.strip()) == (0, "no clash"), done.stderr


def test_the_commands_run_in_such_a_folder(service: Path) -> None:
    """`govpost` started in the service's folder finds our mocks, not the service's."""
    command = [sys.executable, "-m", "govpost.gateway.cli", "--help"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=service)

    assert done.returncode == 0, done.stderr
    assert "mock" in done.stdout
