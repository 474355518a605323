"""What the documentation tells an operator is what there is."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from django_smsww import State
from django_smsww.callbacks.probe import _BY_STATUS, _NO_ANSWER
from django_smsww.management.commands import smsww_status, smsww_sync
from django_smsww.operations import findings

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"\bsmsww_[a-z]+\b", TEXT)))


def rows(heading):
    """Return the first cells of the tables below a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)) - {"---"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_options_that_are_named(name):
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    known = {option for action in parser._actions for option in action.option_strings}
    used = re.findall(rf"{name}([^`\n|]*)", TEXT)
    options = {option for line in used for option in re.findall(r"(?<!\w)--[a-z-]+", line)}
    assert options <= known


def test_every_state_is_explained():
    assert set(State.values) <= rows("States, and what to do")


def test_every_finding_is_explained():
    source = Path(findings.__file__).read_text("utf-8")
    codes = set(re.findall(r'(?:_needed\(|Finding\(UNCLEAR,)\s*"([a-z_]+)"', source))
    explained = set(re.findall(r"`([a-z_]+)`", "\n".join(rows("Monitoring"))))
    assert len(codes) > 10
    assert codes <= explained


def test_every_count_of_a_sync_is_explained():
    source = Path(smsww_sync.__file__).read_text("utf-8")
    counts = re.findall(r"\{(?:len\()?report\.(\w+)\)?\} ([a-z ]+)[,() ]", source)
    shown = {f"{word.strip()} (`{name}`)" for name, word in counts if name not in ("held", "left")}
    assert len(shown) == 7
    assert shown <= rows("What has to run")


def test_every_line_of_the_status_is_explained():
    source = Path(smsww_status.__file__).read_text("utf-8")
    begun = set(re.findall(r'^ +yield f?"([a-z][a-z0-9 ]*[a-z])', source, re.MULTILINE))
    explained = re.findall(r"`([a-z0-9 ]+):?`", "\n".join(rows("Monitoring")))
    assert len(begun) > 12
    assert {line for line in begun if not line.startswith(tuple(explained))} == set()


def test_every_outcome_of_the_probe_is_explained():
    outcomes = {outcome for outcome, _ in _BY_STATUS.values()}
    outcomes |= {outcome for _, outcome, _ in _NO_ANSWER}
    outcomes |= {"ok", "header_lost", "redirect", "not_authentic", "server_error", "slow"}
    explained = re.findall(r"`([a-z_]+)`", "\n".join(rows("Callbacks that do not arrive")))
    assert outcomes <= set(explained)


def test_the_contents_lead_to_headings():
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) == anchors
