"""The management command and the check."""

import pytest
from django.core.management import CommandError, call_command

from django_smsww.contrib.simulator import cli
from django_smsww.contrib.simulator.checks import check_simulator_not_deployed
from django_smsww.contrib.simulator.management.commands.smsww_simulator import Command


@pytest.fixture
def started(monkeypatch):
    """Collect the options instead of serving until a signal."""
    started = []
    monkeypatch.setattr(cli, "run", started.append)
    return started


def test_command_refuses_where_debug_is_off(settings, started):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="--force"):
        call_command(Command())
    assert started == []


@pytest.mark.parametrize(("debug", "arguments"), [(True, []), (False, ["--force"])])
def test_command_starts_in_development_or_by_force(settings, started, debug, arguments):
    settings.DEBUG = debug
    call_command(
        Command(), *arguments, "--port", "0", "--profile", "bare", "--profile", "price-zero"
    )
    assert started[0].profiles == ("bare", "price-zero")


def test_command_lists_the_numbers_anywhere(settings, capsys):
    settings.DEBUG = False
    call_command(Command(), "--numbers")
    assert "...901  ends UNDELIVERABLE" in capsys.readouterr().out


def test_deployment_with_the_simulator_is_an_error():
    (error,) = check_simulator_not_deployed(None)
    assert (error.id, error.is_serious()) == ("smsww.E090", True)
