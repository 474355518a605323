"""The arguments and the progress bar that several commands share."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_smsww.management.console import progress

from ..conftest import NUMBER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "command",
    [
        ["smsww_worker", "--once", "--using", "nowhere"],
        ["smsww_sync", "--using", "nowhere"],
        ["smsww_status", "--using", "nowhere"],
        ["smsww_send", NUMBER, "--text", "Hello", "--using", "nowhere"],
        ["smsww_pause", "nowhere"],
        ["smsww_resume", "nowhere"],
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_alias_is_wrong_use_and_named(gateway, command):
    with pytest.raises(CommandError, match="'nowhere' is not configured") as caught:
        call_command(*command)
    assert caught.value.returncode == 2


@pytest.mark.parametrize("command", ["smsww_worker", "smsww_sync", "smsww_status"])
def test_a_setting_without_aliases_asks_for_one(settings, command):
    settings.SMSWW = {}
    with pytest.raises(CommandError, match="give one with --using") as caught:
        call_command(command)
    assert caught.value.returncode == 2


@pytest.mark.parametrize("command", ["smsww_worker", "smsww_sync"])
@pytest.mark.parametrize("interval", ["soon", "0", "nan", "86401"])
def test_an_interval_is_a_time_that_spares_the_machine(gateway, command, interval):
    with pytest.raises(CommandError, match=r"from 0\.1 to 86400"):
        call_command(command, "--interval", interval)


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_person_who_watches_sees_title_count_and_numbers(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress("default", unit="requests", total=lambda: 3) as advance:
        for number in range(3):
            advance(looked=number)
    shown = terminal.getvalue().rpartition("\r")[2]
    parts = ("default: ", "3/3", "requests", "looked=2")
    assert [part for part in parts if part not in shown] == []


def test_where_nobody_watches_nothing_is_counted_or_shown(capsys):
    with progress(total=lambda: pytest.fail("counted")) as advance:
        advance(5, looked=1)
    assert capsys.readouterr().err == ""
