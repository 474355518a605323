"""Sending: the row first, then the request, then what came of it."""

import contextlib
import inspect
import time
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import get_type_hints
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import DataError, connection, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from django_smsww import (
    SMS,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidSMS,
    InvalidToken,
    SendResult,
    SMSBackendDoesNotExist,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    State,
    asend_sms,
    iter_send,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Event, Message, Suspension
from django_smsww.sending.api import resend
from django_smsww.sms import SMSOptions
from django_smsww.states import Cause
from django_smsww.worker.queue import deliver, deliver_due

from ..conftest import NUMBER, raises

OTHER = "+34600000000"
LONG_AGO = timezone.now() - timedelta(hours=1)
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_message_is_accepted_and_its_row_says_so(gateway):
    message = send_sms("Hello", NUMBER, "Acme")
    assert (message.state, message.provider_id) == ("NEW", f"id-{message.reference}")
    assert [sms.reference for sms in gateway.sent] == [message.reference]
    assert (message.attempts, message.segments, message.encoding) == (1, 1, "GSM-7")


def test_the_row_is_committed_as_sending_before_the_request(gateway):
    seen = []

    def answer(sms):
        state = Message.objects.get(reference=sms.reference).state
        seen.append((state, connection.in_atomic_block))
        return SendResult(provider_id="a1", state="NEW")

    gateway.answer = staticmethod(answer)
    send_sms("Hello", NUMBER)
    assert seen == [("SENDING", False)]


def test_inside_a_transaction_nothing_leaves_before_the_commit(gateway):
    with transaction.atomic():
        message = send_sms("Hello", NUMBER)
        assert (message.state, gateway.sent) == ("QUEUED", [])
    message.refresh_from_db()
    assert (message.state, len(gateway.sent)) == ("NEW", 1)


def test_a_rolled_back_transaction_sends_nothing_and_leaves_no_row(gateway):
    with transaction.atomic():
        send_sms("Hello", NUMBER)
        transaction.set_rollback(True)
    assert (gateway.sent, Message.objects.count()) == ([], 0)


def test_a_backend_that_keeps_messages_in_the_process_delivers_at_once(smsoutbox):
    with transaction.atomic():
        assert send_sms("Hello", NUMBER).state == "NEW"
    assert len(smsoutbox) == 1


def test_deliver_refuses_to_reach_outside_from_a_transaction(gateway, make_message):
    message = make_message()
    with transaction.atomic(), pytest.raises(TransactionManagementError, match="on_commit"):
        deliver(sms_backends["default"], [message.pk], using="default")
    assert gateway.sent == []


ENDS = [
    (SMSRefused(code="2011", status=422, detail="Invalid number"), "FAILED", "2011"),
    (ContentRefused(code="2044", status=422), "FAILED", "2044"),
    (SMSUnavailable(status=429), "FAILED", "unavailable"),
    (InvalidToken(status=401), "FAILED", "invalid_token"),
    (InsufficientCredit(status=402), "FAILED", "insufficient_credit"),
    (AccountBlocklisted(code="2020", status=403), "FAILED", "2020"),
    (SMSLimited(), "FAILED", "limited"),
    (SMSOutcomeUnknown(), "UNKNOWN", "outcome_unknown"),
]


@pytest.mark.parametrize(("error", "state", "code"), ENDS)
def test_a_call_that_raises_has_ended_its_row(gateway, error, state, code):
    gateway.answer = raises(error)
    with pytest.raises(type(error)) as caught:
        send_sms("Hello", NUMBER)
    message, event = Message.objects.get(), Event.objects.get()
    assert caught.value.message == message
    ended = (state, type(error).__name__, code, error.detail or str(error.args[0]))
    for row in (message, event):
        assert (row.state, row.error, row.error_code, row.error_text) == ended
    assert (message.lease_token, event.kind) == (None, "attempt")


@pytest.mark.parametrize(("error", "state", "code"), ENDS)
def test_after_a_commit_no_outcome_is_raised(gateway, error, state, code):
    gateway.answer = raises(error)
    with transaction.atomic():
        message = send_sms("Hello", NUMBER)
    message.refresh_from_db()
    assert (message.state, message.error_code) == (state, code)


def test_a_backend_that_breaks_leaves_the_outcome_unknown(gateway):
    gateway.answer = raises(RuntimeError("some bug"))
    with pytest.raises(SMSOutcomeUnknown):
        send_sms("Hello", NUMBER)
    assert Message.objects.get().state == "UNKNOWN"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("Hello", "393331234567"), "plus sign"),
        (("Hello", "+39333abc"), "letters"),
        (("Hello", "+1234567890123456"), "15 digits"),
        (("", NUMBER), "empty"),
        (("x" * 39_016, NUMBER), "255 segments"),
        (("a\x00b", NUMBER), "NUL"),
        (("a\ud800b", NUMBER), "surrogates"),
        (("Hello", NUMBER, "ab"), "3 to 11"),
        (("Hello", NUMBER, "abcdefghijkl"), "3 to 11"),
        (("Hello", NUMBER, "12345"), "letter"),
        (("Hello", NUMBER, "Acme!"), "3 to 11"),
    ],
)
def test_bad_input_is_refused_before_any_row_or_request(gateway, arguments, text):
    with pytest.raises(InvalidSMS, match=text):
        send_sms(*arguments)
    assert (gateway.sent, Message.objects.count()) == ([], 0)


@pytest.mark.parametrize("name", ["tagg", "batch", "reference", "preflights"])
@pytest.mark.parametrize(
    ("send", "arguments"),
    [
        (send_sms, ("Hello", NUMBER)),
        (async_to_sync(asend_sms), ("Hello", NUMBER)),
        (send_mass_sms, ("Hello", [NUMBER])),
        (send_messages, ([SMS("Hello", NUMBER)],)),
    ],
)
def test_an_option_that_there_is_not_is_a_type_error(gateway, send, arguments, name):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        send(*arguments, **{name: None})
    assert Message.objects.count() == 0


def test_options_are_fields_of_a_message_and_documented():
    options, kinds = get_type_hints(SMSOptions), get_type_hints(SMS)
    others = {"body", "recipient", "sender", "batch", "reference"}
    assert options.keys() == {each.name for each in fields(SMS)} - others
    assert options == {name: kinds[name] for name in options}
    assert [name for name in options if f"{name}:" not in inspect.getdoc(send_sms)] == ["send_at"]


@pytest.mark.parametrize("send", [send_sms, send_mass_sms])
def test_what_would_expire_before_it_leaves_is_refused_before_any_row(gateway, send):
    past = timezone.now() - timedelta(seconds=1)
    with pytest.raises(InvalidSMS, match="in the future"):
        send("Hello", NUMBER if send is send_sms else [NUMBER], expires_at=past)
    assert (gateway.sent, Message.objects.count()) == ([], 0)


def test_an_unknown_alias_is_named(gateway):
    with pytest.raises(SMSBackendDoesNotExist, match="'nowhere'"):
        send_sms("Hello", NUMBER, using="nowhere")


def test_a_second_call_with_a_key_returns_the_first_row_if_it_is_for_the_same_recipient(gateway):
    first = send_sms("Hello", NUMBER, key="report-1")
    assert send_sms("Hello again", NUMBER, key="report-1").pk == first.pk
    with pytest.raises(InvalidSMS, match="another recipient"):
        send_sms("Hello", OTHER, key="report-1")
    assert len(gateway.sent) == 1


@pytest.mark.skipif("connection.vendor != 'mysql'", reason="the others see what is committed")
def test_a_key_that_another_call_used_meanwhile_is_found_under_repeatable_read(gateway):
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            with transaction.atomic():
                assert not Message.objects.exists()  # takes the snapshot
                first = []
                thread = Thread(target=lambda: first.append(send_and_close()))
                thread.start()
                thread.join()
                assert send_sms("Hello", NUMBER, key="k") == first[0]
        finally:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    assert len(gateway.sent) == 1


def send_and_close():
    try:
        return send_sms("Hello", NUMBER, key="k")
    finally:
        connection.close()


def test_keys_that_differ_in_case_accent_or_space_are_different_keys(gateway):
    keys = ["invoice-1", "Invoice-1", "invoicè-1", "invoice-1 "]
    rows = [send_sms("Hello", NUMBER, key=key) for key in keys]
    assert [message.key for message in rows] == keys
    assert len({message.pk for message in rows}) == len(gateway.sent) == 4
    assert send_sms("Hello", NUMBER, key="Invoice-1") == rows[1]


@pytest.mark.parametrize("is_dry_first", [True, False])
@pytest.mark.parametrize("by_alias", [True, False])
def test_the_key_of_a_dry_run_stands_for_dry_runs_alone(gateway, is_dry_first, by_alias):
    def send(dry_run, name="Hello"):
        if by_alias:
            gateway.configure(dry_run=dry_run)
        return send_sms(name, NUMBER, key="k", **{} if by_alias else {"dry_run": dry_run})

    first, second = send(is_dry_first), send(not is_dry_first)
    assert {first.state, second.state} == {"VALIDATED", "NEW"}
    assert (send(is_dry_first), send(not is_dry_first)) == (first, second)
    assert [sms.dry_run for sms in gateway.sent] == [is_dry_first, not is_dry_first]


def test_a_dry_run_and_its_message_may_be_in_one_call(gateway):
    texts = [SMS("Hello", NUMBER, key="k", dry_run=dry) for dry in (True, False, True)]
    rows = send_messages(texts)
    assert [row.state for row in rows] == ["VALIDATED", "NEW", "VALIDATED"]
    assert (rows[0], len(gateway.sent)) == (rows[2], 2)


@pytest.mark.parametrize("error", [SMSRefused(code="2011"), SMSOutcomeUnknown()])
def test_a_second_call_with_a_key_raises_the_same_error_again(gateway, error):
    gateway.answer = raises(error)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            send_sms("Hello", NUMBER, key="report-1")
        assert caught.value.code == error.code
    assert (len(gateway.sent), Message.objects.count()) == (1, 1)


@pytest.mark.parametrize("sensitive", [False, True])
def test_a_second_call_with_a_key_tries_again_what_was_certainly_not_sent(gateway, sensitive):
    accept = gateway.answer
    gateway.answer = raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER, key="report-1", sensitive=sensitive)
    gateway.answer = staticmethod(accept)
    message = send_sms("Hello", NUMBER, key="report-1", sensitive=sensitive)
    assert (message.state, message.attempts, message.error) == ("NEW", 2, "")
    assert [sms.body for sms in gateway.sent] == ["Hello", "Hello"]
    assert Message.objects.count() == 1


@pytest.mark.parametrize(("given", "kept"), [(4711, "4711"), (None, None)])
def test_an_id_that_is_no_text_is_kept_as_text(gateway, given, kept):
    gateway.answer = staticmethod(lambda sms: SendResult(provider_id=given, state="NEW"))
    assert send_sms("Hello", NUMBER).provider_id == kept
    assert (Message.objects.get().provider_id, Message.objects.get().state) == (kept, "NEW")


def test_a_dry_run_is_validated_and_has_no_provider_id_and_is_never_unknown(gateway):
    message = send_sms("Hello", NUMBER, dry_run=True)
    assert (message.state, message.provider_id) == ("VALIDATED", None)
    assert gateway.sent[0].dry_run is True
    gateway.answer = raises(SMSOutcomeUnknown())
    with pytest.raises(SMSOutcomeUnknown) as caught:
        send_sms("Hello", NUMBER, dry_run=True)
    assert caught.value.message.state == "FAILED"


@pytest.mark.parametrize("error", [None, SMSRefused(), SMSOutcomeUnknown(), SMSUnavailable()])
def test_a_sensitive_text_is_forgotten_with_the_first_outcome(gateway, error):
    if error:
        gateway.answer = raises(error)
    with contextlib.suppress(SMSError):
        send_sms("Your code is 123456", NUMBER, sensitive=True)
    message = Message.objects.get()
    assert gateway.sent[0].body == "Your code is 123456"
    assert (message.body, message.scrubbed) == ("", True)
    assert len(message.fingerprint) == 64


def test_a_sensitive_message_expires_after_ten_minutes(gateway):
    message = send_sms("Your code is 123456", NUMBER, sensitive=True, queue=True)
    assert 9 * 60 < (message.expires_at - message.created_at).total_seconds() < 11 * 60


def test_a_blocklisted_answer_is_a_refusal_with_a_fine(gateway):
    gateway.answer = staticmethod(
        lambda sms: SendResult(
            provider_id="a1",
            segments=2,
            blocklisted=True,
            blocklisted_reason="word",
            error=ContentRefused(),
        )
    )
    with pytest.raises(ContentRefused):
        send_sms("x" * 200, NUMBER)
    message = Message.objects.get()
    assert (message.state, message.penalty, message.blocklisted) == ("FAILED", Decimal(2), True)
    assert (message.provider_id, message.blocklisted_reason) == ("a1", "word")


def test_a_mass_send_keeps_the_order_and_sends_a_repeated_number_once(gateway):
    rows = send_mass_sms("Hello", [NUMBER, OTHER, NUMBER])
    assert [row.recipient for row in rows] == [NUMBER, OTHER, NUMBER]
    assert rows[0].pk == rows[2].pk
    assert sorted(sms.recipient for sms in gateway.sent) == sorted([NUMBER, OTHER])
    assert len({row.batch for row in rows}) == 1


def test_an_invalid_number_of_a_mass_send_has_a_failed_row(gateway):
    rows = send_mass_sms("Hello", [NUMBER, "12345", None, "+39\x00" + "1" * 50, 393331234567])
    assert [row.state for row in rows] == ["NEW", *4 * ["FAILED"]]
    to = [row.recipient for row in rows[1:]]
    assert to == ["12345", "", "+39" + "1" * 29, "393331234567"]
    assert {row.error_code for row in rows[1:]} == {"invalid"}
    assert len(gateway.sent) == 1


def test_a_mass_send_of_an_invalid_text_is_refused_as_a_whole(gateway):
    with pytest.raises(InvalidSMS, match="empty"):
        send_mass_sms(" ", [NUMBER, OTHER])
    with pytest.raises(InvalidSMS, match="list of numbers"):
        send_mass_sms("Hello", NUMBER)
    assert Message.objects.count() == 0


def test_a_mass_send_repeated_with_its_key_reaches_each_number_once(gateway):
    first = send_mass_sms("Hello", [NUMBER, "bad"], key="notice")
    again = send_mass_sms("Hello", [OTHER, NUMBER, "bad"], key="notice")
    assert again[1].pk == first[0].pk
    assert again[2].pk == first[1].pk
    assert sorted(sms.recipient for sms in gateway.sent) == sorted([NUMBER, OTHER])
    assert NUMBER not in str(first[0].key)


def test_different_texts_are_sent_in_order_and_by_blocks(gateway):
    texts = [SMS(f"Text {n}", NUMBER) for n in range(300)]
    rows = send_messages(texts)
    assert [row.body for row in rows] == [sms.body for sms in texts]
    assert {row.state for row in rows} == {"NEW"}


def test_a_message_given_twice_is_sent_once_even_in_different_blocks(gateway):
    twice = SMS("Hello", NUMBER)
    rows = send_messages([twice, *(SMS("Hello", NUMBER) for _ in range(250)), twice])
    assert rows[0].pk == rows[-1].pk
    assert len(gateway.sent) == 251


@pytest.mark.parametrize("is_copy", [False, True])
def test_a_message_given_to_a_later_call_is_not_sent_again_and_this_is_said(
    gateway, caplog, is_copy
):
    sms = SMS("Hello", NUMBER)
    [first] = send_messages([sms, sms])[:1]
    assert caplog.text == ""
    [again] = send_messages([sms.replace(reference=uuid4()) if is_copy else sms])
    assert (again != first, len(gateway.sent)) == (is_copy, 1 + is_copy)
    assert (f"Message {first.reference} was sent by an earlier call" in caplog.text) != is_copy


def test_iter_send_takes_no_more_than_it_needs(gateway):
    numbers = iter(range(1_000))
    message = next(iter_send(SMS("Hello", NUMBER) for _ in numbers))
    assert (message.state, next(numbers)) == ("NEW", 250)


def test_a_queued_message_waits_for_its_worker(gateway):
    gateway.configure(queue=True)
    message = send_sms("Hello", NUMBER)
    assert (message.state, gateway.sent) == ("QUEUED", [])
    assert deliver_due(sms_backends["default"], using="default") == 1
    message.refresh_from_db()
    assert message.state == "NEW"


def test_a_message_for_later_is_not_sent_before(gateway):
    later = timezone.now() + timedelta(hours=1)
    message = send_sms("Hello", NUMBER, send_at=later)
    assert deliver_due(sms_backends["default"], using="default") == 0
    assert (message.state, message.next_attempt_at, gateway.sent) == ("QUEUED", later, [])


def test_a_queued_message_that_was_not_sent_is_tried_again_later(gateway):
    gateway.configure(queue=True)
    gateway.answer = raises(SMSUnavailable(retry_after=500))
    message = send_sms("Hello", NUMBER)
    deliver_due(sms_backends["default"], using="default")
    message.refresh_from_db()
    assert (message.state, message.attempts, message.lease_token) == ("QUEUED", 1, None)
    assert message.next_attempt_at > timezone.now() + timedelta(seconds=490)


def test_a_message_that_waited_too_long_is_failed_and_not_sent(gateway):
    gateway.configure(queue=True)
    message = send_sms("Hello", NUMBER)
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    deliver_due(sms_backends["default"], using="default")
    message.refresh_from_db()
    assert (message.state, message.error_code) == ("FAILED", "expired_unsent")
    assert gateway.sent == []


def test_a_row_of_another_environment_is_left_alone(gateway, make_message):
    gateway.configure(queue=True, environment="staging")
    message = make_message(environment="production")
    backend = sms_backends["default"]
    deliver_due(backend, using="default")
    deliver(backend, [message.pk], using="default")
    message.refresh_from_db()
    assert (message.state, gateway.sent) == ("QUEUED", [])


def test_a_leased_row_is_left_to_its_worker(gateway, make_message):
    message = make_message(lease_until=timezone.now() + timedelta(minutes=5))
    assert deliver(sms_backends["default"], [message.pk], using="default") == {}
    assert gateway.sent == []


def test_a_row_whose_worker_died_before_the_request_goes_on_elsewhere(gateway, make_message):
    message = make_message(lease_until=timezone.now() - timedelta(seconds=1))
    deliver_due(sms_backends["default"], using="default")
    message.refresh_from_db()
    assert message.state == "NEW"


@pytest.mark.parametrize(("dry_run", "state"), [(False, "UNKNOWN"), (True, "FAILED")])
def test_a_row_whose_worker_died_while_sending_is_not_sent_again(
    gateway, make_message, dry_run, state
):
    past = timezone.now() - timedelta(seconds=1)
    message = make_message(state=State.SENDING, lease_until=past, dry_run=dry_run)
    deliver_due(sms_backends["default"], using="default")
    message.refresh_from_db()
    assert (message.state, message.error_code, gateway.sent) == (state, "worker_lost", [])


def test_what_was_not_started_before_half_the_lease_was_gone_goes_on_under_a_new_one(
    gateway, monkeypatch
):
    monkeypatch.setattr("django_smsww.models.lease.SECONDS", 0.4)
    gateway.configure(concurrency=1)

    def answer(sms):
        time.sleep(0.08)
        return SendResult(provider_id=str(sms.reference), state="NEW")

    gateway.answer = staticmethod(answer)
    rows = send_mass_sms("Hello", [f"+39333{n:07}" for n in range(5)])
    assert {row.state for row in rows} == {"NEW"}
    assert (len(gateway.sent), {row.attempts for row in rows}) == (5, {1})


def give_up_for_lost():
    """Let another worker find the rows that are SENDING when their lease is over."""
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    Message.objects.filter(state="SENDING").abandon()


def test_an_answer_that_comes_after_the_lease_still_counts(gateway):
    def answer(sms):
        give_up_for_lost()
        return SendResult(provider_id="a1", state="NEW")

    gateway.answer = staticmethod(answer)
    message = send_sms("Hello", NUMBER)
    assert (message.state, message.provider_id, message.error) == ("NEW", "a1", "")


@pytest.mark.parametrize(("tried_again", "state"), [(0, "FAILED"), (1, "UNKNOWN")])
def test_a_refusal_that_comes_after_the_lease_ends_its_own_attempt(gateway, tried_again, state):
    def answer(sms):
        give_up_for_lost()
        Message.objects.update(attempts=F("attempts") + tried_again)
        raise SMSUnavailable

    gateway.answer = staticmethod(answer)
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER)
    assert Message.objects.get().state == state


def test_a_callback_that_overtakes_the_answer_is_not_undone(gateway):
    def answer(sms):
        heard = SendResult(provider_id="a1", state="DELIVERED")
        Message.objects.filter(reference=sms.reference).accept(heard, Cause.EVIDENCE)
        raise SMSOutcomeUnknown

    gateway.answer = staticmethod(answer)
    assert send_sms("Hello", NUMBER).state == "DELIVERED"


@pytest.mark.parametrize("error", [InvalidToken(), InsufficientCredit(), AccountBlocklisted()])
def test_what_concerns_the_account_pauses_the_alias(gateway, error):
    gateway.answer = raises(error)
    for _ in range(2):
        with pytest.raises(type(error)):
            send_sms("Hello", NUMBER)
    assert len(gateway.sent) == 1
    assert Message.objects.filter(state="FAILED").count() == 2


def test_a_queued_message_waits_out_a_pause(gateway):
    gateway.configure(queue=True)
    gateway.answer = raises(InvalidToken())
    first, second = send_mass_sms("Hello", [NUMBER, OTHER])
    backend = sms_backends["default"]
    deliver(backend, [first.pk], using="default")
    deliver(backend, [second.pk], using="default")
    second.refresh_from_db()
    assert (second.state, second.attempts, len(gateway.sent)) == ("QUEUED", 0, 1)
    assert second.next_attempt_at == Suspension.objects.get().until


def test_an_acceptance_ends_a_pause_that_had_run_out(gateway):
    past = timezone.now() - timedelta(seconds=1)
    Suspension.objects.create(alias="default", error="InvalidToken", until=past, times=3)
    send_sms("Hello", NUMBER)
    assert not Suspension.objects.exists()


def test_a_pause_grows_from_a_minute_to_an_hour(gateway):
    gateway.answer = raises(InvalidToken())
    lengths = []
    for _ in range(8):
        with pytest.raises(InvalidToken):
            send_sms("Hello", NUMBER)
        pause = Suspension.objects.get()
        lengths.append(round((pause.until - timezone.now()).total_seconds()))
        Suspension.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_forbidden_content_stops_its_twins_and_nothing_else(gateway):
    accept = gateway.answer
    gateway.answer = raises(ContentRefused(code="2044"))
    with pytest.raises(ContentRefused):
        send_sms("Forbidden", NUMBER)
    gateway.answer = staticmethod(accept)
    with pytest.raises(ContentRefused) as caught:
        send_sms("Forbidden", OTHER)
    assert (caught.value.message.penalty, caught.value.message.attempts) == (None, 0)
    assert send_sms("Harmless", OTHER).state == "NEW"


def test_a_resend_is_a_new_row_that_points_back(gateway):
    first = send_sms("Hello", NUMBER, "Acme", tag="reminder")
    Message.objects.filter(pk=first.pk).accept(SendResult(state="EXPIRED"), Cause.EVIDENCE)
    again = resend(first)
    assert (again.resend_of, again.state, again.tag) == (first, "NEW", "reminder")
    assert [sms.sender for sms in gateway.sent] == ["Acme", "Acme"]


def test_a_message_is_resent_at_most_once(gateway, make_message):
    first = make_message(state=State.EXPIRED)
    resend(first)
    with pytest.raises(InvalidSMS, match="newest"):
        resend(first)
    assert len(gateway.sent) == 1


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"state": State.UNKNOWN}, "settle"),
        ({"state": State.PENDING}, "under way"),
        ({"state": State.FAILED, "error": "ContentRefused"}, "content"),
        ({"state": State.REJECTED, "blocklisted": True}, "content"),
        ({"state": State.FAILED, "dry_run": True}, "dry run"),
        ({"state": State.DELIVERED, "scrubbed": True}, "deleted"),
    ],
)
def test_what_must_not_be_resent_says_why(gateway, make_message, columns, text):
    with pytest.raises(InvalidSMS, match=text):
        resend(make_message(**columns))
    assert gateway.sent == []


def test_who_sent_it_is_kept(gateway):
    user = get_user_model().objects.create(username="support")
    assert send_sms("Hello", NUMBER, created_by=user).created_by == user


@pytest.mark.parametrize("anonymous", [AnonymousUser(), SimpleLazyObject(AnonymousUser)])
def test_an_anonymous_user_is_nobody(gateway, make_message, anonymous):
    gateway.configure(max_per_user=(1, 60))
    for send in (
        send_sms,
        lambda *given, **options: send_mass_sms(given[0], [OTHER], **options)[0],
    ):
        assert send("Hello", NUMBER, created_by=anonymous).created_by_id is None
    failed = make_message(state=State.FAILED)
    assert resend(failed, created_by=anonymous).created_by_id is None
    queued, unknown = make_message(), make_message(state=State.UNKNOWN, claimed_at=LONG_AGO)
    assert Message.objects.filter(pk=queued.pk).cancel(by=anonymous) == 1
    assert unknown.settle(True, anonymous, "because")
    assert Suspension.objects.pause("default", "", by=anonymous).created_by is None
    assert set(Event.objects.values_list("user", flat=True)) == {None}


class OneDatabase:
    """A router that asks for no instance."""

    def db_for_write(self, model, **hints):
        return "default"


def test_a_message_of_a_replica_is_resent_where_rows_are_written(gateway, make_message, settings):
    settings.DATABASE_ROUTERS = [OneDatabase()]
    failed = make_message(state=State.FAILED)
    failed._state.db = "replica"
    assert resend(failed).resend_of_id == failed.pk


def test_a_message_of_another_database_is_not_resent_here(gateway, make_message, settings):
    settings.DATABASE_ROUTERS = [OneDatabase()]
    elsewhere, here = make_message(state=State.FAILED), make_message(state=State.FAILED)
    elsewhere.delete()
    elsewhere.pk, elsewhere._state.db = here.pk, "other"
    with pytest.raises(InvalidSMS, match="in another database"):
        resend(elsewhere)
    assert gateway.sent == []


def test_an_engine_is_told_of_the_rows_when_they_are_committed(gateway):
    enqueued.clear()
    with transaction.atomic():
        message = send_sms("Hello", NUMBER, queue="tests.sending.test_api.enqueue")
        assert enqueued == []
    assert enqueued == [("default", [message.pk])]
    assert (message.state, gateway.sent) == ("QUEUED", [])


enqueued = []


def enqueue(alias, primary_keys):
    enqueued.append((alias, primary_keys))


# Keys, resends and what goes wrong between a row and its request


def unavailable_once(gateway, **options):
    accept = gateway.answer
    gateway.answer = raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable) as caught:
        send_sms("Hello", NUMBER, key="k", **options)
    gateway.answer = staticmethod(accept)
    gateway.sent.clear()
    return caught.value.message


def test_a_repeated_key_does_not_send_what_was_resent(gateway):
    newest = resend(unavailable_once(gateway))
    assert send_sms("Hello", NUMBER, key="k") == newest
    assert len(gateway.sent) == 1


def test_a_resend_gives_way_to_a_repeated_key_that_came_first(gateway, monkeypatch):
    row, as_sms = unavailable_once(gateway), Message.as_sms

    def overtaken(self):
        monkeypatch.setattr(Message, "as_sms", as_sms)
        send_sms("Hello", NUMBER, key="k")
        return as_sms(self)

    monkeypatch.setattr(Message, "as_sms", overtaken)
    with pytest.raises(InvalidSMS, match="under way"):
        resend(row)
    assert len(gateway.sent) == Message.objects.count() == 1


def test_a_repeated_key_returns_what_another_call_has_made_of_the_row(gateway, monkeypatch):
    row = unavailable_once(gateway)
    requeue = Message.requeue

    def overtaken(self, **changes):
        Message.objects.get(pk=row.pk).accept(SendResult(provider_id="a1", state="NEW"))
        return requeue(self, **changes)

    monkeypatch.setattr(Message, "requeue", overtaken)
    assert send_sms("Hello", NUMBER, key="k").state == "NEW"
    assert gateway.sent == []


def test_a_sensitive_text_that_is_sent_again_is_counted_again(gateway):
    unavailable_once(gateway, sensitive=True)
    row = send_sms("x" * 300, NUMBER, key="k", sensitive=True)
    assert (row.segments, row.characters) == (2, 300)


def test_a_key_for_two_recipients_fails_the_second_in_a_mass_send(gateway):
    messages = [SMS("Hello", NUMBER, key="k"), SMS("Hello", OTHER, key="k")]
    rows = send_messages(messages)
    assert [(row.recipient, row.state) for row in rows] == [(NUMBER, "NEW"), (OTHER, "FAILED")]
    [again] = send_messages(messages[1:])
    assert (again.state, again.error_code, again.key) == ("FAILED", "invalid", None)


def test_the_same_message_through_another_alias_is_another_row(gateway, settings):
    settings.SMSWW = {**settings.SMSWW, "other": settings.SMSWW["default"]}
    sms = SMS("Hello", NUMBER)
    [first] = send_messages([sms])
    [second] = send_messages([sms], using="other")
    assert (first.alias, second.alias) == ("default", "other")
    assert {first.state, second.state} == {"NEW"}


def send_and_sweep():
    send_sms("Hello", NUMBER)
    deliver_due(sms_backends["default"], using="default")


@pytest.mark.parametrize(
    ("queue", "state", "code"), [(False, "FAILED", "interrupted"), (True, "QUEUED", "")]
)
def test_what_breaks_before_the_request_ends_the_row_or_gives_it_back(
    gateway, monkeypatch, queue, state, code
):
    def broken(self):
        raise OSError("no route")

    gateway.configure(queue=queue)
    monkeypatch.setattr(gateway, "open", broken)
    with pytest.raises(OSError, match="no route"):
        send_and_sweep()
    row = Message.objects.get()
    assert (row.state, row.error_code, row.lease_token, gateway.sent) == (state, code, None, [])


def test_a_single_answer_that_cannot_be_stored_is_said_to_be_unknown(gateway):
    def refuse(execute, sql, params, many, context):
        if "poison" in str(params) and sql.startswith("UPDATE"):
            raise DataError
        return execute(sql, params, many, context)

    gateway.answer = staticmethod(lambda sms: SendResult(provider_id="poison", state="NEW"))
    with connection.execute_wrapper(refuse), pytest.raises(SMSOutcomeUnknown) as caught:
        send_sms("Hello", NUMBER)
    assert (caught.value.code, caught.value.message.state) == ("not_stored", "SENDING")


def test_without_autocommit_nothing_is_stored(gateway):
    transaction.set_autocommit(False)
    try:
        with pytest.raises(TransactionManagementError, match="atomic"):
            send_sms("Hello", NUMBER)
        assert not Message.objects.exists()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_a_text_does_not_outlive_its_time_because_of_a_pause(gateway):
    gateway.configure(queue=True)
    Suspension.objects.pause("default", "")
    send_sms("Your code is 123456", NUMBER, sensitive=True)
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    deliver_due(sms_backends["default"], using="default")
    row = Message.objects.get()
    assert (row.state, row.error_code, row.body) == ("FAILED", "expired_unsent", "")


def test_a_retry_is_not_put_off_for_longer_than_the_message_lives(gateway):
    gateway.configure(queue=True)
    gateway.answer = raises(SMSUnavailable(retry_after=86400))
    row = send_sms("Your code is 123456", NUMBER, sensitive=True)
    deliver_due(sms_backends["default"], using="default")
    assert Message.objects.get().next_attempt_at == row.expires_at


def test_nothing_that_is_said_of_a_dry_run_moves_it(make_message):
    message = make_message(dry_run=True)
    Message.objects.filter(pk=message.pk).accept(
        SendResult(provider_id="a1", state="DELIVERED"), Cause.EVIDENCE
    )
    message.refresh_from_db()
    assert (message.state, message.provider_id) == ("QUEUED", None)
