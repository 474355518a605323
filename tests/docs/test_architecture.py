"""The page that names a file for each step names files and functions that are there."""

import re
from pathlib import Path

import django_smsww

PACKAGE = Path(django_smsww.__file__).parent
TEXT = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text("utf-8")
NAMES = set(re.findall(r"`([\w/]+(?:\.py|/))`", TEXT))


def test_every_file_and_room_of_the_page_is_there():
    names = {name for name in NAMES if not name.startswith(("tests/", "sms/", "django_smsww/"))}
    there = {path.name for path in PACKAGE.rglob("*.py")}
    assert len(names) > 30
    assert {n for n in names if not (PACKAGE / n).exists() and n not in there} == set()


def test_every_function_of_the_page_is_there():
    source = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    functions = set(re.findall(r"`(\w+)\(\)`", TEXT))
    assert functions
    assert {name for name in functions if f"def {name}(" not in source} == set()
