"""The tests of a project with django-otp, django-two-factor-auth and drf-spectacular pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_suite_of_such_a_project_passes():
    command = [sys.executable, "-m", "pytest", "-q", "--ds", "tests.ecosystem.settings"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests/ecosystem"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
