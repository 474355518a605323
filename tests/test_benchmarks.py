"""The benchmarks still run: with small numbers, and whatever they find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "benchmarks"
NAMES = sorted(
    path.stem for path in FOLDER.glob("*.py") if "\ndef main() -> None" in path.read_text("utf-8")
)

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_says_what_it_has_found(name):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings"}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}", "--small"],
        cwd=FOLDER.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(("met", "short", "skipped")) or "skipped:" in done.stdout
