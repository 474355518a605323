"""Helpers for several commands: arguments, backends, signals and progress bars."""

import math
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from threading import Event
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.handler import sms_backends
from django_smsww.clock import midnight, project_time
from django_smsww.exceptions import SMSBackendDoesNotExist

USAGE = 2  # the exit code for wrong arguments, as argparse has it


def add_using(parser: CommandParser) -> None:
    only = "only this alias; may be repeated"
    parser.add_argument("--using", action="append", metavar="ALIAS", help=only)


def add_no_input(parser: CommandParser, text: str) -> None:
    names = ("--no-input", "--noinput")
    parser.add_argument(*names, action="store_false", dest="interactive", help=text)


def aliases_of(options: dict[str, Any]) -> list[str]:
    """Return the aliases in --using. Without --using, return all aliases.

    Raise a CommandError if an alias is unknown, or if there are no aliases.
    """
    aliases: list[str] = options["using"] or list(sms_backends)
    if not aliases:
        text = "The SMSWW setting names no alias: give one with --using."
        raise CommandError(text, returncode=USAGE)
    for alias in aliases:
        if alias not in sms_backends:
            find_backend(alias)
    return aliases


def find_backend(alias: str) -> BaseSMSBackend:
    """Return the backend of this alias. Raise a CommandError if the alias is unknown."""
    try:
        return sms_backends[alias]
    except SMSBackendDoesNotExist as error:
        raise CommandError(str(error), returncode=USAGE) from error


def counted(number: int, thing: str = "message") -> str:
    """Return the number with the noun: "1 message", "2 messages"."""
    return f"{number} {thing}{pluralize(number)}"


def agreed(question: str) -> bool:
    """Ask the question at the terminal. Return True if the answer is "yes"."""
    try:
        return input(f"{question} Type 'yes': ").strip().lower() == "yes"
    except EOFError:
        return False


def seconds(text: str) -> float:
    """Parse an interval, which must be 0.1 to 86400 seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.1 <= value <= 86400:
        raise ArgumentTypeError("write seconds, from 0.1 to 86400.")
    return value


def moment(text: str) -> datetime:
    """Parse a day or a time. If the text has no time zone, use the setting TIME_ZONE."""
    try:
        time = None if len(text) <= len("2026-01-31") else parse_datetime(text)
        day = None if time else parse_date(text)
    except ValueError:  # well formed, but no date, such as 2026-02-31
        time = day = None
    if day:
        return midnight(day)
    if time is None:
        raise ArgumentTypeError("write a day (2026-01-31) or a time (2026-01-31T14:30).")
    return project_time(time if timezone.is_aware(time) else timezone.make_aware(time))


@contextmanager
def stop_signals() -> Iterator[Event]:
    """Yield an event. SIGTERM and Ctrl-C set this event instead of ending the process."""
    stopped = Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(
    title: str = "", *, unit: str = "messages", total: Callable[[], int] | None = None
) -> Iterator[Callable[..., object]]:
    """Yield a function that advances a progress bar.

    The bar shows the function's keyword arguments. If standard error is not a terminal, or tqdm is
    not installed, the function does nothing.
    """
    if not (sys.stderr.isatty() and find_spec("tqdm")):
        yield lambda more=1, **numbers: None
        return
    from tqdm import tqdm  # an extra

    with tqdm(desc=title or None, total=total and total(), unit=f" {unit}") as bar:

        def advance(more: int = 1, **numbers: int) -> None:
            bar.set_postfix(numbers, refresh=False)
            bar.update(more)

        yield advance
