"""What the tests of the conformance kit share: the example adapters, installed, and pytest run with them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from layout import PACKAGES, install

Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_pytest(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Give a function that runs pytest as somebody with the examples installed would, in a folder of their own."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    path = os.pathsep.join(filter(None, [str(site), str(PACKAGES), os.environ.get("PYTHONPATH", "")]))

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)

    return run
