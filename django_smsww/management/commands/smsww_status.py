"""Report how sending goes, to people and to monitoring."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, router

from django_smsww.clock import local_time
from django_smsww.management.console import USAGE, add_using, aliases_of
from django_smsww.models import Message
from django_smsww.operations import STATUSES, collect
from django_smsww.operations.status import MIN_CREDIT

Data = dict[str, Any]


class Command(BaseCommand):
    help = (
        "Report how sending goes: messages that wait, are unknown or overdue; suspensions; "
        "callbacks; the account. Exit codes: 0 all is well, 1 something needs a person, 2 "
        "something could not be read."
    )
    requires_system_checks: list[str] = []  # it is most needed where something is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        add_using(parser)
        parser.add_argument("--json", action="store_true", help="write JSON, with stable keys")
        parser.add_argument("--offline", action="store_true", help="make no request")
        parser.add_argument(
            "--probe",
            action="store_true",
            help="post a signed callback that does nothing to callback_url, as the gateway would",
        )
        parser.add_argument(
            "--min-credit",
            type=_amount,
            default=MIN_CREDIT,
            metavar="EUR",
            help=f"the credit below which a person is needed (default: {MIN_CREDIT})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = self.collect(options)
        if options["json"]:
            self.stdout.write(json.dumps(report, cls=DjangoJSONEncoder, indent=2))
        else:
            self.stdout.write("\n".join(_lines(report)))
        if code := STATUSES.index(report["status"]):
            sys.exit(code)

    def collect(self, options: Data) -> Data:
        if options["probe"] and options["offline"]:
            raise CommandError("--probe makes a request: leave --offline out.", returncode=USAGE)
        try:
            return collect(
                aliases_of(options),
                using=router.db_for_read(Message),
                offline=options["offline"],
                probe=options["probe"],
                min_credit=options["min_credit"],
            )
        except DatabaseError as error:
            kind = type(error).__name__
            text = f"The records cannot be read ({kind}): is the database up and migrated?"
            raise CommandError(text, returncode=2) from error


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ArgumentTypeError("write an amount in EUR, such as 10")
    return amount


def _lines(report: Data) -> Iterator[str]:
    for alias, one in report["aliases"].items():
        yield f"{alias}:"
        if one["records"]:
            yield from (f"  {line}" for line in _about(one))
        for finding in one["findings"]:
            yield f"  {'!' if finding['level'] == 'attention' else '?'} {finding['text']}"
    yield {
        "fine": "All is well.",
        "attention": "Something needs a person.",
        "unclear": "Not everything could be read.",
    }[report["status"]]


def _about(one: Data) -> Iterator[str]:
    yield f"environment: {one['environment'] or 'none'}"
    if (allowed := one["staging"]["allowed"]) is not None:
        others = "redirected" if one["staging"]["redirected"] else "refused"
        yield f"staging: {allowed} numbers get their messages, those to others are {others}"
    yield from _messages(one["records"])
    yield from _suspensions(one["records"]["suspensions"])
    yield from _signs_of_life(one["records"])
    if (penalties := one["records"]["penalties"])["messages"]:
        yield f"penalties in {penalties['days']} days: {penalties['amount']} EUR (estimated)"
    if one["provider"]:
        yield from _provider(one["provider"])
    if one["probe"] and one["probe"]["callback_url"]:
        probe = one["probe"]
        status = f"HTTP {probe['status']}" if probe["status"] else "no answer"
        yield f"probe: {probe['outcome']} ({status}, {probe['seconds']:.1f} s). {probe['text']}"


def _messages(records: Data) -> Iterator[str]:
    due, unknown, overdue = records["due"], records["unknown"], records["overdue"]
    yield f"waiting: {_counts(records['waiting'])}"
    yield f"last 24 hours: {_counts(records['last_day'])}"
    if due["count"]:
        yield f"due: {due['count']}, the oldest since {_moment(due['oldest_at'])}"
    if count := records["leased"]["count"]:
        until = _moment(records["leased"]["until"])
        yield f"leased: {count} by a worker; if it died, another one sends them after {until}"
    if unknown["count"]:
        yield f"unknown: {unknown['count']}, the oldest of {_moment(unknown['oldest_at'])}"
    if overdue["count"]:
        yield f"overdue: {overdue['count']}, the oldest of {_moment(overdue['oldest_at'])}"
    for environment, count in records["foreign"].items():
        yield f"queued by another deployment ({environment or 'none'}), held: {count}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing"


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{local_time(moment):%Y-%m-%d %H:%M %Z}".strip()


def _suspensions(suspensions: list[Data]) -> Iterator[str]:
    for one in suspensions:
        scopes = {"alias": "everything", "batch": f"batch {one['batch']}", "text": "one text"}
        until = f"until {_moment(one['until'])}" if one["until"] else "until smsww_resume"
        yield f"suspended: {scopes.get(one['scope'], one['scope'])}, {until}"


def _signs_of_life(records: Data) -> Iterator[str]:
    yield f"last callback: {_moment(records['callbacks']['last_at'])}"
    for reason, refused in records["callbacks"]["refused"].items():
        last = _moment(refused["last_at"])
        yield f"callbacks refused ({reason}): {refused['times']}, the last by {last}"
    yield f"last sweep: {_moment(records['last_sweep_at'])}"
    yield f"last sync: {_moment(records['last_sync_at'])}"


def _provider(provider: Data) -> Iterator[str]:
    accepted = {True: "accepted", False: "refused", None: "no answer"}
    yield f"token: {accepted[provider['token']['accepted']]} by the host ({provider['host']})"
    account = provider["account"]
    if account is None:
        yield "account: not asked, for there is no account_email and api_key"
        return
    if account["token"] and account["token"]["expires_at"]:
        yield f"token expires: {_moment(account['token']['expires_at'])}"
    if account["wallet"]:
        yield f"wallet: {account['wallet']['credit']} EUR"
