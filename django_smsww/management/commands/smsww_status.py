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

from django_smsww.clock import local_time, rounded_up
from django_smsww.management.console import USAGE, add_using, aliases_of
from django_smsww.models import Message
from django_smsww.operations import STATUSES, collect
from django_smsww.operations.status import MIN_CREDIT
from django_smsww.states import State

Data = dict[str, Any]


class Command(BaseCommand):
    help = (
        "Report how sending goes: messages that wait, are unknown or overdue; suspensions; "
        "callbacks; the account. Exit codes: 0 nothing needs a person, 1 something does, 2 "
        "something could not be read."
    )
    requires_system_checks: list[str] = []  # it is most needed where something is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add_using(parser)
        add("--json", action="store_true", help="write JSON, with stable keys")
        add("--offline", action="store_true", help="make no request")
        probes = "post a signed callback that does nothing to callback_url, as the gateway would"
        add("--probe", action="store_true", help=probes)
        least = f"the credit below which a person is needed (default: {MIN_CREDIT})"
        add("--min-credit", type=_amount, default=MIN_CREDIT, metavar="EUR", help=least)

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
        "fine": _all_is_well(list(report["aliases"].values())),
        "attention": "Something needs a person.",
        "unclear": "Not everything could be read.",
    }[report["status"]]


def _all_is_well(aliases: list[Data]) -> str:
    """Return the last line of a report without problems. The line counts the waiting messages."""
    records = [one["records"] for one in aliases if one["records"]]
    names = ("due", "leased", "unknown", "unanswered")
    due, leased, unknown, unanswered = (
        sum(one[name]["count"] for one in records) for name in names
    )
    queued = sum(one["waiting"]["QUEUED"] for one in records)
    at_once = sum(one["at_once"] for one in records)
    counts = {
        "QUEUED waiting for smsww_worker": max(due - leased, 0),
        "QUEUED and leased by a worker": leased,
        # Not below 0: a worker may have sent some after `due` was read.
        "QUEUED for a later time or another attempt": max(queued - due - at_once, 0),
        "QUEUED by a call that sends them itself": at_once,
        "UNKNOWN waiting for a callback or smsww_sync": unknown,
        "SENDING waiting for an answer or the end of the lease": unanswered,
    }
    texts = [f"{count} {text}" for text, count in counts.items() if count]
    return f"Nothing needs a person yet: {', '.join(texts)}." if texts else "All is well."


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
    if records["last_day"].get(State.FAILED):
        yield "failed: the admin says why. smsww_resend sends again what was not sent, once"
    if due["count"]:
        yield f"due: {due['count']}, the oldest since {_moment(due['oldest_at'])}"
    yield from _in_hand(records)
    if unknown["count"]:
        yield f"unknown: {unknown['count']}, the oldest since {_moment(unknown['oldest_at'])}"
    if overdue["count"]:
        yield f"overdue: {overdue['count']}, the oldest was sent at {_moment(overdue['oldest_at'])}"
    for environment, count in records["foreign"].items():
        yield f"queued by another deployment ({environment or 'none'}), held: {count}"


def _in_hand(records: Data) -> Iterator[str]:
    """Yield a line for each group of messages that a process has taken for sending."""
    if count := records["unanswered"]["count"]:
        until = _moment(rounded_up(records["unanswered"]["until"]))
        yield (
            f"unanswered: {count} SENDING; if the process died, smsww_worker makes them UNKNOWN "
            f"after {until}"
        )
    if count := records["leased"]["count"]:
        until = _moment(rounded_up(records["leased"]["until"]))
        yield f"leased: {count} by a worker; if it died, another one sends them after {until}"
    if count := records["at_once"]:
        yield (
            f"at once: {count} QUEUED by a call that sends them itself; if its process died, "
            "smsww_worker makes them FAILED (interrupted) after about ten minutes"
        )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing"


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{local_time(moment):%Y-%m-%d %H:%M %Z}".strip()


def _suspensions(suspensions: list[Data]) -> Iterator[str]:
    for one in suspensions:
        if one["is_stop"]:
            yield f"stopped batch: {one['batch']}, smsww_worker cancels its waiting messages"
            continue
        scopes = {"alias": "everything", "batch": f"batch {one['batch']}", "text": "one text"}
        until = _moment(rounded_up(one["until"])) if one["until"] else "smsww_resume"
        yield f"suspended: {scopes.get(one['scope'], one['scope'])}, until {until}"


def _signs_of_life(records: Data) -> Iterator[str]:
    yield f"last callback: {_moment(records['callbacks']['last_at'])}"
    for reason, refused in records["callbacks"]["refused"].items():
        times, last = refused["times"], _moment(refused["last_at"])
        yield f"callbacks refused, of all aliases ({reason}): {times}, the last by {last}"
    yield f"last sweep: {_moment(records['last_sweep_at'])}"
    yield f"last sync: {_moment(records['last_sync_at'])}"


def _provider(provider: Data) -> Iterator[str]:
    status = provider["statuses"].get("token")
    unclear = f"answered {status}" if status else "no answer"
    accepted = {True: "accepted", False: "refused", None: unclear}
    yield f"token: {accepted[provider['token']['accepted']]} by the host ({provider['host']})"
    account = provider["account"]
    if account is None:
        yield "account: not asked, for there is no account_email and api_key"
        return
    if account["token"] and account["token"]["expires_at"]:
        yield f"token expires: {_moment(account['token']['expires_at'])}"
    if account["wallet"]:
        yield f"wallet: {account['wallet']['credit']} EUR"
