"""The dry run before a mass send: one for each text and sender, at no cost."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from django_smsww import (
    SMS,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SendResult,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.clock import elapsed
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Message, Preflight, Suspension
from django_smsww.worker.admission import Admission
from django_smsww.worker.queue import deliver, deliver_due

from ..conftest import NUMBER

NUMBERS = [f"+39333{n:07}" for n in range(500)]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _dry_runs(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "supports_dry_run", True)


@pytest.fixture
def on_dry_run(gateway):
    """Return a function that sets the error which dry runs end with; the rest is accepted."""

    def set_answer(error, numbers=NUMBERS):
        def answer(sms):
            if sms.dry_run and sms.recipient in numbers:
                raise error
            return SendResult(provider_id=str(sms.reference), state="NEW")

        gateway.answer = staticmethod(answer)

    return set_answer


def dry_runs(gateway):
    return [sms for sms in gateway.sent if sms.dry_run]


def sent(gateway):
    return [sms for sms in gateway.sent if not sms.dry_run]


def movable_clock(monkeypatch):
    """Return a function that lets seconds of a lease pass at once."""
    moved = []
    for module in ("models.lease", "backends.base"):
        monkeypatch.setattr(f"django_smsww.{module}.elapsed", lambda: elapsed() + sum(moved))
    return moved.append


def states():
    return set(Message.objects.values_list("state", flat=True))


def sweep():
    return deliver_due(sms_backends["default"], using="default")


# When there is one


@pytest.mark.parametrize(
    ("count", "preflight", "expected"),
    [(20, None, 1), (19, None, 0), (20, False, 0), (2, True, 1), (300, None, 1)],
)
def test_a_text_to_twenty_numbers_is_tried_once_before_it_leaves(
    gateway, count, preflight, expected
):
    rows = send_mass_sms("Hello", NUMBERS[:count], preflight=preflight)
    assert {row.state for row in rows} == {"NEW"}
    assert (len(dry_runs(gateway)), len(sent(gateway))) == (expected, count)
    assert gateway.sent[0].dry_run is bool(expected)


def test_different_texts_have_none_unless_it_is_asked_for(gateway):
    texts = [SMS(f"Text {n % 2}", number, "Acme") for n, number in enumerate(NUMBERS[:30])]
    send_messages(texts)
    assert dry_runs(gateway) == []
    send_messages([sms.replace(reference=uuid4()) for sms in texts], preflight=True)
    assert sorted((sms.body, sms.sender) for sms in dry_runs(gateway)) == [
        ("Text 0", "Acme"),
        ("Text 1", "Acme"),
    ]
    assert len(set(Preflight.objects.values_list("batch", flat=True))) == 1


def test_a_dry_run_needs_no_preflight(gateway):
    send_mass_sms("Hello", NUMBERS[:20], dry_run=True)
    assert len(gateway.sent) == 20


def test_a_backend_that_cannot_try_is_not_asked_to(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "supports_dry_run", False)
    send_mass_sms("Hello", NUMBERS[:20])
    assert dry_runs(gateway) == []


def test_the_dry_run_has_a_reference_of_its_own(gateway):
    rows = send_mass_sms("Hello", NUMBERS[:20])
    [tried] = dry_runs(gateway)
    assert tried.recipient == rows[0].recipient
    assert tried.reference not in {row.reference for row in rows}


# What it says


REFUSALS = [
    ContentRefused(code="2044", status=422),
    ContentRefused(code="2050", status=422),
    SMSRefused(code="2021", status=422),
    SMSRefused(code="2024", status=422),
    SMSRefused(status=422, detail="Sender alias not approved for country IT."),
    SMSRefused(status=422, detail="The message exceeds the length of a single part."),
]


@pytest.mark.parametrize("queue", [False, True])
@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: f"{error.code} {error.detail[:9]}")
def test_what_concerns_text_or_sender_fails_all_at_no_cost(gateway, on_dry_run, error, queue):
    gateway.configure(queue=queue, max_segments_per_day=1000)
    on_dry_run(error)
    send_mass_sms("Hello", NUMBERS[:30])
    sweep()
    rows = Message.objects.all()
    assert {(row.state, row.error, row.error_code) for row in rows} == {
        ("FAILED", type(error).__name__, error.code)
    }
    assert {(row.penalty, row.attempts) for row in rows} == {(None, 0)}
    assert (len(dry_runs(gateway)), sent(gateway)) == (1, [])


def test_forbidden_content_found_by_a_preflight_stops_the_text_everywhere(gateway, on_dry_run):
    on_dry_run(ContentRefused(code="2044"))
    send_mass_sms("Forbidden", NUMBERS[:20])
    with pytest.raises(ContentRefused):
        send_sms("Forbidden", NUMBER)
    assert len(gateway.sent) == 1
    assert not Message.objects.resendable().exists()


@pytest.mark.parametrize("code", ["2011", "2013", "unheard-of"])
def test_what_concerns_a_recipient_lets_the_others_go(gateway, on_dry_run, code):
    on_dry_run(SMSRefused(code=code, status=422), numbers=NUMBERS[:2])
    rows = send_mass_sms("Hello", NUMBERS[:30])
    assert {row.state for row in rows} == {"NEW"}
    assert [sms.recipient for sms in dry_runs(gateway)] == NUMBERS[:3]


def test_after_five_refused_recipients_the_group_goes_unjudged(gateway, on_dry_run):
    on_dry_run(SMSRefused(code="2011", status=422))
    send_mass_sms("Hello", NUMBERS[:300])
    assert (len(dry_runs(gateway)), len(sent(gateway))) == (5, 300)


UNAVAILABLE = [
    (SMSUnavailable(status=429, retry_after=900), "SMSUnavailable", "unavailable"),
    (SMSOutcomeUnknown(status=500), "SMSUnavailable", "preflight_unanswered"),
    (RuntimeError(), "SMSUnavailable", "preflight_unanswered"),
    (InvalidToken(status=401), "InvalidToken", "invalid_token"),
    (InsufficientCredit(status=402), "InsufficientCredit", "insufficient_credit"),
    (AccountBlocklisted(code="2020"), "AccountBlocklisted", "2020"),
]


@pytest.mark.parametrize(("error", "kind", "code"), UNAVAILABLE)
def test_without_an_answer_nothing_leaves(gateway, on_dry_run, error, kind, code):
    on_dry_run(error)
    rows = send_mass_sms("Hello", NUMBERS[:100])
    assert {(row.state, row.error) for row in rows} == {("FAILED", kind)}
    # Those after the first block were held back by the pause that the error began.
    later = set() if kind == "SMSUnavailable" else {"suspended"}
    assert {row.error_code for row in rows} == {code} | later
    assert (len(dry_runs(gateway)), sent(gateway)) == (1, [])
    assert not Preflight.objects.exists()


@pytest.mark.parametrize(("error", "kind", "code"), UNAVAILABLE)
def test_without_an_answer_queued_messages_wait(gateway, on_dry_run, error, kind, code):
    gateway.configure(queue=True)
    on_dry_run(error)
    send_mass_sms("Hello", NUMBERS[:100])
    sweep()
    rows = Message.objects.all()
    assert {(row.state, row.error, row.attempts) for row in rows} == {("QUEUED", kind, 0)}
    assert min(row.next_attempt_at for row in rows) > timezone.now()
    assert (sent(gateway), {row.lease_token for row in rows}) == ([], {None})


def test_queued_messages_leave_when_the_gateway_is_back(gateway, on_dry_run):
    gateway.configure(queue=True)
    on_dry_run(SMSUnavailable())
    send_mass_sms("Hello", NUMBERS[:30])
    sweep()
    on_dry_run(None, numbers=())
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    sweep()
    assert (states(), len(dry_runs(gateway))) == ({"NEW"}, 2)


def test_a_call_repeated_with_its_key_tries_again(gateway, on_dry_run):
    on_dry_run(SMSUnavailable())
    send_mass_sms("Hello", NUMBERS[:20], key="notice")
    on_dry_run(None, numbers=())
    rows = send_mass_sms("Hello", NUMBERS[:20], key="notice")
    assert {row.state for row in rows} == {"NEW"}
    assert (len(dry_runs(gateway)), Message.objects.count()) == (2, 20)


# Together with the rest

CODE_2021 = SMSRefused(code="2021", detail="Too long")


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [(None, "NEW", ("", "")), (CODE_2021, "FAILED", ("2021", "Too long"))],
)
def test_other_workers_learn_how_it_ended_and_do_not_repeat_it(
    gateway, on_dry_run, error, state, said
):
    gateway.configure(queue=True)
    on_dry_run(error, numbers=NUMBERS if error else ())
    rows = send_mass_sms("Hello", NUMBERS[:40])
    for some in (rows[:20], rows[20:]):
        deliver(sms_backends["default"], [row.pk for row in some], using="default")
    assert (states(), len(dry_runs(gateway))) == ({state}, 1)
    assert len(sent(gateway)) == (0 if error else 40)
    assert set(Message.objects.values_list("error_code", "error_text")) == {said}


def test_each_batch_is_tried_anew(gateway):
    for _ in range(2):
        send_mass_sms("Hello", NUMBERS[:20])
    assert len(dry_runs(gateway)) == 2


def test_nothing_is_tried_while_the_alias_is_paused(gateway):
    Suspension.objects.pause("default", "")
    send_mass_sms("Hello", NUMBERS[:20])
    assert (gateway.sent, states()) == ([], {"FAILED"})


def test_nothing_is_tried_for_messages_that_came_too_late(gateway):
    gateway.configure(queue=True)
    send_mass_sms("Hello", NUMBERS[:20])
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    sweep()
    assert (gateway.sent, states()) == ([], {"FAILED"})


def test_a_batch_stopped_during_its_preflight_sends_nothing(gateway):
    def answer(sms):
        Suspension.objects.pause("default", "", scope=f"batch:{Message.objects.first().batch}")
        return SendResult(state="NEW")

    gateway.answer = staticmethod(answer)
    send_mass_sms("Hello", NUMBERS[:20])
    assert (len(dry_runs(gateway)), sent(gateway)) == (1, [])


def test_no_transaction_is_open_during_a_preflight(gateway):
    seen = []

    def answer(sms):
        seen.append((sms.dry_run, connection.in_atomic_block))
        return SendResult(provider_id=str(sms.reference), state="NEW")

    gateway.answer = staticmethod(answer)
    send_mass_sms("Hello", NUMBERS[:1], preflight=True)
    assert seen == [(True, False), (False, False)]


def test_distinct_texts_are_tried_within_the_time_of_a_lease(gateway, monkeypatch):
    gateway.configure(concurrency=1)
    move_clock = movable_clock(monkeypatch)

    def answer(sms):
        move_clock(60)
        return SendResult(provider_id=str(sms.reference), state="NEW")

    gateway.answer = staticmethod(answer)
    rows = send_messages(
        [SMS(f"Text {n}", number) for n, number in enumerate(NUMBERS[:4])], preflight=True
    )
    assert {row.state for row in rows} == {"NEW"}
    assert (len(dry_runs(gateway)), len(sent(gateway))) == (4, 4)


def test_neither_text_nor_number_is_logged(gateway, on_dry_run, caplog):
    caplog.set_level("DEBUG")
    on_dry_run(RuntimeError("Marker body"))
    rows = send_mass_sms("Marker body", NUMBERS[:20])
    shown = caplog.text + "".join(row.error_text for row in rows)
    assert not [secret for secret in ("Marker", *NUMBERS[:20]) if secret in shown]


@pytest.mark.parametrize(("sender", "body"), [("notapproved", "Hello"), ("", "forbidden-word")])
def test_over_real_http_a_refused_group_costs_nothing(settings, sender, body):
    with SimulatorProcess(state_delay=0.02) as simulator:
        options = {"token": "simulator", "host": simulator.url}
        settings.SMSWW = {"default": {"OPTIONS": options}}
        rows = send_mass_sms(body, NUMBERS[:25], sender)
        assert {row.state for row in rows} == {"FAILED"}
        assert (simulator.ledger(), len(simulator.requests())) == ([], 1)
        assert send_mass_sms("Hello", NUMBERS[:25])[0].state == "NEW"  # the account is not blocked


def test_a_worker_that_was_stopped_before_a_dry_run_makes_it_then(gateway, monkeypatch, on_dry_run):
    on_dry_run(SMSRefused(code="2021"))
    move_clock = movable_clock(monkeypatch)
    look, stops = Admission._stop_suspended, iter([200])

    def stop(self, block, lease):
        look(self, block, lease)
        move_clock(next(stops, 0))

    monkeypatch.setattr(Admission, "_stop_suspended", stop)
    rows = send_mass_sms("Hello", NUMBERS[:20], preflight=True)
    assert {row.state for row in rows} == {"FAILED"}
    assert [sms.dry_run for sms in gateway.sent] == [True]
