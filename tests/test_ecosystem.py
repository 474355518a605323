"""The tests of projects with other packages pass; each suite has settings of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("suite", ["ecosystem", "task_queues"])
def test_the_suite_of_such_a_project_passes(suite, request):
    words = ["-q", "-n0", "-p", "no:cacheprovider", "-m", request.config.option.markexpr]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *words,
            "--ds",
            f"tests.{suite}.settings",
            f"tests/{suite}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
