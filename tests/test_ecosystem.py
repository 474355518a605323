"""The tests of projects with other packages pass; each suite has settings of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(suite, marks, **environment):
    """Run the suite in a process, and fail with its output."""
    words = ["-q", "-n0", "-p", "no:cacheprovider", "-m", marks, "--ds", f"tests.{suite}.settings"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"tests/{suite}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("suite", ["ecosystem", "task_queues"])
def test_the_suite_of_such_a_project_passes(suite):
    run(suite, "not external")


@pytest.mark.parametrize(
    "marks", ["not external", pytest.param("browser", marks=pytest.mark.browser)]
)
@pytest.mark.parametrize("theme", ["grappelli", "jazzmin", "unfold"])
def test_the_admin_works_under_another_theme(theme, marks):
    if not find_spec(theme):
        pytest.skip(f"{theme} is not installed: it is among the extras of the developers")
    run("themes", marks, ADMIN_THEME=theme)
