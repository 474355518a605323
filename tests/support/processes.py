"""Processes of a project of their own, with a database of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment_of(database, **more):
    """Return the environment of a process that uses this database."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DATABASE_URL": database,
        "PYTHONPATH": str(ROOT),
        **more,
    }


def run(database, *arguments, code="", **environment):
    """Run a management command, or some code, and return the ended process."""
    words = ["-c", code] if code else ["-m", "django", *arguments]
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment_of(database, **environment),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def manage(database, *arguments, **options):
    """Run a command that must succeed, and return what it wrote."""
    done = run(database, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
