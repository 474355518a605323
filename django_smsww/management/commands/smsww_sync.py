import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.clock import local_time
from django_smsww.management.console import (
    USAGE,
    add_using,
    aliases_of,
    counted,
    find_backend,
    moment,
    progress,
    seconds,
    stop_signals,
)
from django_smsww.models.settlement import GRACE
from django_smsww.operations.totals import keep_up
from django_smsww.reconcile import (
    Adoption,
    Reason,
    SyncReport,
    adopt_history,
    hold_after_restore,
    sync,
)

MOST_SHOWN = 20
A_TIME = "2030-01-31T12:00:00+00:00"


class Command(BaseCommand):
    help = (
        "Settle the messages whose outcome is unknown, update those that are not finished, and "
        "fill in late prices. Run this command from cron every few minutes, or with --interval as "
        "a service. Exit codes: 0 done, 1 a sync failed, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add_using(parser)
        restored = (
            f"a backup begun at this time was restored ({A_TIME}): hold what is queued in it, "
            "since it may have been sent. Stop all workers before, and start them after"
        )
        add("--after-restore", metavar="SINCE", help=restored)
        grace = (
            "how long after a message became UNKNOWN its request may still be under way "
            "(default: %(default)g)"
        )
        add("--grace", type=float, default=GRACE.total_seconds(), metavar="SECONDS", help=grace)
        again = "run again and again, with so many seconds between, until SIGTERM or Ctrl-C"
        add("--interval", type=seconds, metavar="SECONDS", help=again)
        add("--json", action="store_true", help="print one JSON object for each run")
        history = parser.add_argument_group("the account's whole history")
        add = history.add_argument
        adopts = "then read all messages of the account, and store those that were sent elsewhere"
        add("--adopt", action="store_true", help=adopts)
        add("--since", type=moment, metavar="TIME", help="adopt no message from before this time")
        content = "store numbers and texts of these messages, too"
        add("--with-content", action="store_true", help=content)
        add(
            "--dry-run",
            action="store_true",
            help="only count these messages; do not sync, and store nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check_adoption(options)
        aliases, since = aliases_of(options), _moment(options["after_restore"])
        if options["interval"] is None:
            failed = self.sync_all(aliases, since, options)
        elif since:
            text = "--after-restore is for a single run: leave --interval out."
            raise CommandError(text, returncode=USAGE)
        else:
            failed = self.repeat(aliases, options)
        if failed:
            raise CommandError(f"The sync failed for: {', '.join(failed)}.")

    def repeat(self, aliases: list[str], options: dict[str, Any]) -> list[str]:
        """Sync until SIGTERM or Ctrl-C. Return the aliases whose sync failed in the last run."""
        failed: list[str] = []
        with stop_signals() as stopped:
            while not stopped.is_set():
                failed = self.sync_all(aliases, None, options)
                stopped.wait(options["interval"])
        return failed

    def sync_all(
        self, aliases: list[str], since: datetime | None, options: dict[str, Any]
    ) -> list[str]:
        """Sync each alias once, and return the aliases whose sync failed."""
        backends = [find_backend(alias) for alias in aliases]
        # All rows are held before the first request, so that no worker can claim one meanwhile.
        held = [hold_after_restore(backend, since) if since else 0 for backend in backends]
        reports = [self.sync_or_adopt(backend, since, options) for backend in backends]
        for report, count in zip(reports, held, strict=True):
            report.held += count
        keep_up()  # so that nobody has to wait for the statistics
        self.show(reports, as_json=options["json"], verbosity=options["verbosity"])
        return [report.alias for report in reports if report.has_failed]

    def sync_or_adopt(
        self, backend: BaseSMSBackend, since: datetime | None, options: dict[str, Any]
    ) -> SyncReport:
        """Sync the alias, except with --dry-run. If no error came, --adopt then adopts messages.

        The sync comes first, because it settles UNKNOWN messages, and --adopt skips entries that
        may belong to an UNKNOWN message.
        """
        if options["dry_run"]:
            report = SyncReport(backend.alias, backend.environment)
        else:
            report = self.sync_one(backend, since, options["grace"])
        if options["adopt"] and report.error is None:
            report.adoption = self.adopt_one(backend, options)
        return report

    def sync_one(self, backend: BaseSMSBackend, since: datetime | None, grace: float) -> SyncReport:
        with progress(backend.alias, unit="requests") as advance:
            return sync(
                backend,
                after_restore=since,
                grace=timedelta(seconds=grace),
                on_request=lambda report: advance(looked=report.looked, found=report.found),
            )

    def adopt_one(self, backend: BaseSMSBackend, options: dict[str, Any]) -> Adoption:
        with progress(backend.alias) as advance:
            return adopt_history(
                backend,
                since=options["since"],
                with_content=options["with_content"],
                dry_run=options["dry_run"],
                on_page=lambda report, more: advance(more, added=report.added),
            )

    def show(self, reports: list[SyncReport], *, as_json: bool, verbosity: int) -> None:
        if as_json:
            self.stdout.write(json.dumps({one.alias: one.as_dict() for one in reports}))
            return
        aliases: dict[str, list[str]] = defaultdict(list)
        for report in reports if verbosity else ():
            for line in _lines(report, verbosity):
                aliases[line].append(report.alias)
        for line, names in aliases.items():
            self.stdout.write(f"{', '.join(names)}: {line}")


def _lines(report: SyncReport, verbosity: int) -> Iterator[str]:
    """Yield the report's lines. If there was nothing to do, yield none, so cron sends no mail."""
    if report.held:
        yield f"{report.held} held after the restore."
    if report.skipped:
        if verbosity > 1:
            yield f"skipped: {report.skipped}"
    elif report.requests or verbosity > 1:
        yield (
            f"{report.looked} looked at, {report.moved} moved, {report.found} found again, "
            f"{report.proved_absent} proved absent, {report.corrected} corrected, "
            f"{len(report.still_unknown)} still unknown ({report.requests} requests, "
            "with those for the gateway's list)."
        )
    yield from _troubles(report)
    if report.left:
        yield f"{report.left} unfinished messages were left for the next run."
    if report.error:
        yield f"ended early: {report.error}"  # without the gateway's words, which may quote a text
    if report.adoption:
        yield from _of_adoption(report.adoption)


def _of_adoption(adoption: Adoption) -> Iterator[str]:
    if adoption.skipped:
        yield f"nothing adopted: {adoption.skipped}"
        return
    would_be = "would be " if adoption.is_dry_run else ""
    yield (
        f"{adoption.listed} listed: {adoption.added} {would_be}added as sent elsewhere, "
        f"{adoption.updated} {would_be}updated, {adoption.known} known, "
        f"{adoption.stamped} with a reference of this project."
    )
    reasons = {
        "may be your own UNKNOWN messages: settle these, and run --adopt again": adoption.held_back,
        "are as old as messages that smsww_prune has deleted": adoption.pruned,
        "have no number or no time": adoption.unreadable,
    }
    for reason, count in reasons.items():
        if count:
            yield f"{count} were left out: they {reason}."
    if adoption.error:
        yield f"the list was not read to its end: {adoption.error}"
    elif not adoption.is_whole:
        yield "the list changed while it was read: run --adopt again."


def _troubles(report: SyncReport) -> Iterator[str]:
    if absent := report.proved_absent:
        yield (
            f"{counted(absent)} never reached the gateway and became FAILED: to send what is "
            "missing, run smsww_resend --error proved_absent."
        )
    troubles: dict[str, list[Any]] = defaultdict(list)
    for reference, reason in report.still_unknown.items():
        troubles[_why(report, reason)].append(reference)
    troubles["The provider says that it has no such message"] = report.missing
    troubles["The provider's list shows it under a second id"] = report.doubled
    troubles["This project sent them, but their rows are lost; their provider ids"] = report.orphans
    for trouble, names in troubles.items():
        shown, more = ", ".join(map(str, names[:MOST_SHOWN])), len(names) - MOST_SHOWN
        rest = f" and {more} more (see --json)" if more > 0 else ""
        if names:
            yield f"{trouble} ({len(names)}): {shown}{rest}"


def _why(report: SyncReport, reason: Reason) -> str:
    if reason is not Reason.TOO_EARLY or not report.retry_at:
        return reason.value
    full = (report.retry_at + timedelta(seconds=1)).replace(microsecond=0)  # not a moment too early
    ends_at = f"{local_time(full):%Y-%m-%d %H:%M:%S %Z}".strip()
    return (
        f"{reason.value}; run smsww_sync again after {ends_at}: it can then decide about the "
        "oldest, if the gateway's list shows a later message of this alias by then"
    )


def _check_adoption(options: dict[str, Any]) -> None:
    for name in ("since", "with_content", "dry_run"):
        if options[name] and not options["adopt"]:
            text = f"--{name.replace('_', '-')} works only with --adopt: add --adopt."
            raise CommandError(text, returncode=USAGE)
    for name in ("after_restore", "interval"):
        if options[name] and options["adopt"]:
            text = f"--adopt needs a run of its own: leave --{name.replace('_', '-')} out."
            raise CommandError(text, returncode=USAGE)


def _moment(value: str | datetime | None) -> datetime | None:
    """Parse the argument of --after-restore. `call_command()` can also pass a datetime."""
    try:
        moment = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:  # written like a time, such as in a 13th month
        moment = None
    if value is not None and (moment is None or timezone.is_naive(moment)):
        text = f"--after-restore must be a time with its offset, such as {A_TIME}."
        raise CommandError(text, returncode=USAGE)
    if moment and moment > timezone.now():
        raise CommandError(f"--after-restore is in the future: {value}.", returncode=USAGE)
    return moment
