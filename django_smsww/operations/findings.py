"""Find the problems in a status report, and the values that could not be read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ..exceptions import error_kind
from .records import PROOF_WAIT

ATTENTION = "attention"
UNCLEAR = "unclear"

QUEUE_WAIT = timedelta(minutes=10)
TOKEN_DAYS = 14
RECENTLY = timedelta(days=1)

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem in a status report.

    Attributes:
        level: "attention" (a person must act) or "unclear" (a value could not be read).
        code: a name for programs, which stays the same in later versions.
        text: the problem, and what to do about it.
    """

    level: str
    code: str
    text: str


Findings = Iterator[Finding]


def find(alias: Data, now: datetime, *, min_credit: Decimal) -> list[Finding]:
    """Return the problems in the report of one alias."""
    found = [finding for rule in _RECORDS for finding in rule(alias["records"], now)]
    if alias["provider"] is not None:
        found += _token(alias["provider"])
        found += _account(alias["provider"]["account"], min_credit)
        found += _errors(alias["provider"])
    if alias["probe"] is not None:
        found += _probe(alias["probe"])
    return found


def find_stops(records: Data, now: datetime) -> list[Finding]:
    """Return the problems that prevent sending. `records` is the result of `read_open()`."""
    return [*_suspended(records, now), *_queue(records, now)]


def _needed(code: str, text: str) -> Finding:
    return Finding(ATTENTION, code, text)


def _queue(records: Data, now: datetime) -> Findings:
    due = records["due"]
    if due["oldest_at"] is None or now - due["oldest_at"] < QUEUE_WAIT:
        return
    if _pauses(records):
        return  # the messages wait for the end of the pause
    text = (
        f"{due['count']} messages should have left by now: is smsww_worker running, and is it fast "
        "enough?"
    )
    yield _needed("queue_waits", text)


def _stalled(records: Data, now: datetime) -> Findings:
    if count := records["stalled"]:
        text = f"{count} messages were left SENDING by a process that ended: run smsww_worker."
        yield _needed("stalled", text)


def _unknown(records: Data, now: datetime) -> Findings:
    unknown, synced_at = records["unknown"], records["last_sync_at"]
    if not unknown["late"]:
        return
    text = f"{unknown['late']} messages may have been sent or not: "
    if synced_at and synced_at - unknown["oldest_at"] >= PROOF_WAIT:
        text += (
            "smsww_sync has not decided the oldest yet. Run it again: it says what is missing, or "
            "when it can decide. Or settle the message on its page in the admin."
        )
    else:
        text += "run smsww_sync. If it cannot decide, settle the message on its page in the admin."
    yield _needed("unknown", text)


def _overdue(records: Data, now: datetime) -> Findings:
    if count := records["overdue"]["count"]:
        yield _needed(
            "overdue",
            f"{count} messages were accepted more than 48 hours ago, and their delivery is still "
            "unknown: run smsww_sync, and check the callbacks.",
        )


def _suspended(records: Data, now: datetime) -> Findings:
    for one in _pauses(records):
        why = " ".join(filter(None, (one["error"], one["reason"])))
        cause = f"An error paused the alias ({why})." if why else "A person paused the alias."
        texts = (cause, error_kind(one["error"]).remedy, "smsww_resume ALIAS ends the pause.")
        yield _needed("suspended", " ".join(filter(None, texts)))


def _pauses(records: Data) -> list[Data]:
    """Return the suspensions of the whole alias, without those of one batch or one text."""
    return [one for one in records["suspensions"] if one["scope"] == "alias"]


def _silence(records: Data, now: datetime) -> Findings:
    callbacks = records["callbacks"]
    if callbacks["silent_since"]:
        text = "Messages were accepted, and no callback came: run smsww_status --probe."
        yield _needed("no_callbacks", text)


def _refused(records: Data, now: datetime) -> Findings:
    """Report callbacks with an unknown state, and callbacks that the database could not store.

    Callbacks that were refused for other reasons may come from strangers. So these callbacks are
    reported only if expected callbacks are missing.
    """
    callbacks = records["callbacks"]
    recent = {
        reason: refused["times"]
        for reason, refused in callbacks["refused"].items()
        if now - refused["last_at"] < RECENTLY
    }
    if times := recent.pop("unread", 0):
        yield _needed(
            "callbacks_unread",
            f"{times} authentic callbacks (of all aliases) named no known state: look at them in "
            "the admin.",
        )
    for reason in recent:
        if reason == "storage" or callbacks["silent_since"]:
            yield _needed("callbacks_refused", f"Callbacks were refused ({reason}).")


def _penalties(records: Data, now: datetime) -> Findings:
    penalties = records["penalties"]
    if penalties["messages"] and now - penalties["last_at"] < RECENTLY:
        yield _needed("penalties", "The gateway fined forbidden content: write other texts.")


_Rules = tuple[Callable[[Data, datetime], Findings], ...]
_RECORDS: _Rules = (
    _queue,
    _stalled,
    _unknown,
    _overdue,
    _suspended,
    _silence,
    _refused,
    _penalties,
)


def _token(provider: Data) -> Findings:
    if provider["token"]["accepted"] is False:
        text = f"The host ({provider['host']}) refuses the token: correct one of them."
        yield _needed("token_refused", text)
    record = (provider["account"] or {}).get("token") or {}
    days = record.get("days_left")
    if days is not None and days < TOKEN_DAYS:
        yield _needed("token_expires", f"The token expires in {days} days: create a new one.")


def _account(account: Data | None, min_credit: Decimal) -> Findings:
    wallet = account and account["wallet"]
    if wallet and wallet["credit"] < min_credit:
        text = f"The wallet holds {wallet['credit']} EUR, less than {min_credit}: top it up."
        yield _needed("low_credit", text)


def _errors(provider: Data) -> Findings:
    for name, error in provider["errors"].items():
        status = provider["statuses"].get(name)
        if error == "InvalidToken":  # of account_email and api_key
            text = "The account host refuses account_email and api_key: correct them."
            yield _needed("account_refused", text)
        else:
            answer = f"answered {status}" if status else "did not answer"
            text = f"The gateway {answer} about {name.replace('_', ' ')} ({error})."
            yield Finding(UNCLEAR, "no_answer", text)


def _probe(probe: Data) -> Findings:
    if not probe["callback_url"]:
        yield Finding(UNCLEAR, "no_callback_url", "There is no callback_url to probe.")
    elif not probe["fine"]:
        yield _needed(f"probe_{probe['outcome']}", probe["text"])
