"""Ask the provider what became of unknown and unfinished messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.handler import sms_backends
from django_smsww.daily import keep_up
from django_smsww.exceptions import SMSBackendDoesNotExist
from django_smsww.management.arguments import seconds
from django_smsww.models.settlement import GRACE
from django_smsww.reconcile import SyncReport, hold_after_restore, sync
from django_smsww.reconcile.session import OnRequest

from .smsww_worker import stop_signals


class Command(BaseCommand):
    help = (
        "Settle the messages whose outcome is unknown, refresh those that are not finished, and "
        "fill in late prices. Run it from cron every few minutes, or with --interval as a "
        "service. Exit codes: 0 done, 1 the provider could not be asked, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--using", action="append", metavar="ALIAS", help="only this alias; may be repeated"
        )
        parser.add_argument(
            "--after-restore",
            metavar="SINCE",
            help="a backup made at this time was restored (2030-01-31T12:00:00+00:00): hold what "
            "is queued in it, since it may have been sent. Stop all workers before, and start "
            "them after",
        )
        parser.add_argument(
            "--grace",
            type=float,
            default=GRACE.total_seconds(),
            metavar="SECONDS",
            help="how long an attempt may be still under way (default: %(default)g)",
        )
        parser.add_argument(
            "--interval",
            type=seconds,
            metavar="SECONDS",
            help="run again and again, so far apart, until SIGTERM or Ctrl-C",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a run")

    def handle(self, *args: Any, **options: Any) -> None:
        backends = [self.backend(alias) for alias in options["using"] or list(sms_backends)]
        if not backends:
            text = "The SMSWW setting names no alias: give one with --using."
            raise CommandError(text, returncode=2)
        since = _moment(options["after_restore"])
        if since and options["interval"] is not None:
            text = "--after-restore is for one run: leave --interval out."
            raise CommandError(text, returncode=2)
        failed = self.work(backends, since, options)
        if failed:
            raise CommandError(f"The provider could not be asked for: {', '.join(failed)}.")

    def backend(self, alias: str) -> BaseSMSBackend:
        try:
            return sms_backends[alias]
        except SMSBackendDoesNotExist as error:
            raise CommandError(str(error), returncode=2) from error

    def work(
        self, backends: list[BaseSMSBackend], since: datetime | None, options: dict[str, Any]
    ) -> list[str]:
        """Run once, or until stopped; return the aliases that failed in the last run."""
        interval = options["interval"]
        if interval is None:
            return self.run(backends, since, options)
        failed: list[str] = []
        with stop_signals() as stopped:
            while not stopped.is_set():
                failed = self.run([self.backend(one.alias) for one in backends], None, options)
                stopped.wait(interval)
        return failed

    def run(
        self, backends: list[BaseSMSBackend], since: datetime | None, options: dict[str, Any]
    ) -> list[str]:
        """Sync each alias once; return those whose run the provider ended."""
        grace = timedelta(seconds=options["grace"])
        # All are held before anything else, so that nothing of them can be claimed meanwhile.
        held = [hold_after_restore(backend, since) if since else 0 for backend in backends]
        reports = []
        for backend, count in zip(backends, held, strict=True):
            with progress(backend.alias) as watch:
                report = sync(backend, after_restore=since, grace=grace, on_request=watch)
            report.held += count
            reports.append(report)
        keep_up()  # so that nobody has to wait for the statistics
        self.show(reports, options["json"])
        return [report.alias for report in reports if report.error]

    def show(self, reports: list[SyncReport], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({one.alias: one.as_dict() for one in reports}))
            return
        for report in reports:
            for line in _lines(report):
                self.stdout.write(f"{report.alias}: {line}")


def _lines(report: SyncReport) -> Iterator[str]:
    """Yield what a report says, for people."""
    if report.held:
        yield f"{report.held} held after the restore."
    if report.skipped:
        yield f"skipped: {report.skipped}"
        return
    yield (
        f"{report.looked} looked at, {report.moved} moved, {report.adopted} found again, "
        f"{report.proved_absent} proved absent, {report.corrected} corrected, "
        f"{len(report.still_unknown)} still unknown ({report.requests} requests)."
    )
    yield from _troubles(report)
    if report.left:
        yield f"{report.left} unfinished ones were left for the next run."
    if report.error:
        yield f"ended early: {report.error}"


def _troubles(report: SyncReport) -> Iterator[str]:
    for reference, reason in report.still_unknown.items():
        yield f"{reference}: {reason.value}."
    for reference in report.missing:
        yield f"{reference}: the provider says that it has no such message."
    for reference in report.doubled:
        yield f"{reference}: the provider's list shows it under a second id."
    if report.orphans:
        yield f"{len(report.orphans)} sent after the backup have no row: {_few(report.orphans)}"


def _few(ids: list[str]) -> str:
    more = f" and {len(ids) - 20} more (see --json)" if len(ids) > 20 else ""
    return ", ".join(ids[:20]) + more


def _moment(text: str | datetime | None) -> datetime | None:
    """Read the argument of --after-restore; call_command may pass a datetime."""
    if text is None or isinstance(text, datetime):
        moment = text
    else:
        try:
            moment = parse_datetime(text)
        except ValueError:
            moment = None
    if text is not None and (moment is None or timezone.is_naive(moment)):
        example = "2030-01-31T12:00:00+00:00"
        raise CommandError(
            f"--after-restore must be a time with its offset, such as {example}.", returncode=2
        )
    return moment


@contextmanager
def progress(alias: str) -> Iterator[OnRequest | None]:
    """Show the requests on a terminal, if tqdm is installed."""
    try:
        from tqdm import tqdm  # an extra
    except ImportError:
        yield None
        return
    with tqdm(desc=alias, unit=" requests", disable=not sys.stderr.isatty()) as bar:
        yield lambda report: _advance(bar, report)


def _advance(bar: Any, report: SyncReport) -> None:
    bar.set_postfix(looked=report.looked, found=report.adopted, refresh=False)
    bar.update()
