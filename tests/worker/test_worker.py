"""Many messages at once: none waits for a slow one, and what came of each is written in batches."""

import threading
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import (
    SMS,
    ContentRefused,
    InvalidToken,
    SendResult,
    SMSOutcomeUnknown,
    SMSRefused,
    State,
    iter_send,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Event, Message, MessageQuerySet, Suspension
from django_smsww.models.counters import CounterQuerySet
from django_smsww.models.lease import Lease
from django_smsww.models.transitions import Move, move_together
from django_smsww.sending.dispatch import WRITE_ROWS
from django_smsww.signals import message_failed, message_sent, message_state_changed
from django_smsww.states import Cause
from django_smsww.worker import results
from django_smsww.worker.plan import Load
from django_smsww.worker.queue import deliver, deliver_due
from django_smsww.worker.worker import Worker

from ..conftest import NUMBER, raises
from ..support.backends import ScriptedBackend

NUMBERS = [f"+39333{n:07}" for n in range(400)]
pytestmark = pytest.mark.django_db(transaction=True)


def accept(sms):
    return SendResult(provider_id=f"id-{sms.reference}", state="NEW")


def failing_for(error, *numbers):
    """Return an answer that raises this error for these numbers, and accepts the others."""

    def answer(sms):
        if sms.recipient in numbers:
            raise error
        return accept(sms)

    return staticmethod(answer)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def states():
    return Counter(Message.objects.values_list("state", flat=True))


def test_workers_of_an_alias_share_a_query_and_no_rows(make_message, monkeypatch):
    def rows_of(alias, environment="staging"):
        backend = ScriptedBackend(alias=alias, environment=environment)
        return Worker(backend, "default", inline=True).rows

    assert (list(rows_of("one")), list(rows_of("one", "")), list(rows_of("two"))) == ([], [], [])
    mine = make_message(alias="one", environment="staging")
    make_message(alias="two")
    monkeypatch.setattr(MessageQuerySet, "of", None)
    found = list(rows_of("one")), list(rows_of("one", "")), list(rows_of("two"))
    assert found == ([mine], [], [])


# No barrier


def before_results(monkeypatch, function):
    """Call the function whenever answers have come and are about to be written down."""
    record = Worker.write_results

    def late(self):
        function()
        record(self)

    monkeypatch.setattr(Worker, "write_results", late)


def after_each(monkeypatch, owner, name, function):
    """Call the function in the main thread whenever this method has returned."""
    method = getattr(owner, name)

    def called(*args, **kwargs):
        answer = method(*args, **kwargs)
        function()
        return answer

    monkeypatch.setattr(owner, name, called)


def test_one_slow_request_keeps_no_other_row_waiting(gateway, monkeypatch):
    gateway.configure(concurrency=4)
    known, seen = {}, []
    after_each(monkeypatch, Worker, "write_results", lambda: known.update(states()))

    def answer(sms):
        if sms.recipient == NUMBERS[0]:
            wait_until(lambda: known.get("NEW") == 39)
            seen.append(known["SENDING"])
        return accept(sms)

    gateway.answer = staticmethod(answer)
    send_mass_sms("Hello", NUMBERS[:40], preflight=False)
    assert seen == [1]


@pytest.mark.parametrize(("threads", "rows"), [(1, 1), (4, 6), (16, 40)])
def test_few_rows_are_sending_at_a_time(gateway, monkeypatch, threads, rows):
    """They would be UNKNOWN if the process were killed."""
    gateway.configure(concurrency=threads)
    seen = []
    after_each(monkeypatch, MessageQuerySet, "claim", lambda: seen.append(states()["SENDING"]))
    send_mass_sms("Hello", NUMBERS[:60], preflight=False)
    assert max(seen) == rows


def test_the_threads_leave_the_database_alone(gateway):
    seen = []

    def answer(sms):
        seen.append(connection.connection)
        return accept(sms)

    gateway.answer = staticmethod(answer)
    send_mass_sms("Hello", NUMBERS[:20], preflight=False)
    assert seen == [None] * 20


def test_rows_come_in_the_order_of_the_caller_whoever_is_slow(gateway):
    def answer(sms):
        time.sleep(0.02 if sms.recipient.endswith("0") else 0)
        return accept(sms)

    gateway.answer = staticmethod(answer)
    rows = send_mass_sms("Hello", NUMBERS, preflight=False)
    assert [row.recipient for row in rows] == NUMBERS
    assert {row.state for row in rows} == {"NEW"}


def test_an_urgent_message_overtakes_a_large_batch(gateway, monkeypatch):
    monkeypatch.setattr("django_smsww.worker.worker.LEASE_ROWS", 50)
    gateway.configure(queue=True, concurrency=2)
    send_mass_sms("Hello", NUMBERS[:80], preflight=False)

    def turn():
        if gateway.sent and not Message.objects.filter(body="Urgent").exists():
            send_sms("Urgent", NUMBER, priority=9)
        return False

    deliver_due(sms_backends["default"], using="default", stop=turn)
    place = [sms.body for sms in gateway.sent].index("Urgent")
    assert place <= 50 < len(gateway.sent) == 81


def test_a_worker_that_is_told_to_stop_gives_back_what_has_not_left(gateway):
    gateway.configure(queue=True, concurrency=2)
    send_mass_sms("Hello", NUMBERS[:100], preflight=False)
    taken = deliver_due(
        sms_backends["default"], using="default", stop=lambda: len(gateway.sent) > 10
    )
    assert 10 < taken == len(gateway.sent) < 100
    assert states() == {"NEW": taken, "QUEUED": 100 - taken}
    assert not Message.objects.exclude(lease_token=None).exists()


def test_a_key_that_two_blocks_name_is_sent_once(gateway, monkeypatch):
    """The second block is stored while the first row with the key still waits in the first."""
    monkeypatch.setattr("django_smsww.sending.api.BLOCK_ROWS", 50)
    gateway.configure(concurrency=1)

    def answer(sms):
        if sms.recipient in NUMBERS[40:50]:
            time.sleep(0.02)  # so that it is still under way when the second turn comes
        return accept(sms)

    gateway.answer = staticmethod(answer)
    texts = [SMS("Hello", number, key=number) for number in NUMBERS[:50]]
    rows = send_messages([*texts, texts[-1].replace(reference=uuid4())])
    assert rows[-1].pk == rows[-2].pk
    assert (states(), len(gateway.sent)) == ({"NEW": 50}, 50)


def test_a_second_claim_of_a_row_that_is_under_way_returns_nothing(make_message):
    lease, message = Lease.begin("default"), make_message()
    rows = Message.objects.all()
    rows.lease([message.pk], lease)
    assert rows.claim([message.pk], lease) == [message]
    assert rows.claim([message.pk], lease) == []


@pytest.mark.usefixtures("gateway")
def test_claimed_rows_are_announced_without_being_read_again(make_message):
    heard, lease, rows = [], Lease.begin("default"), Message.objects.all()
    keys = [make_message().pk for _ in range(3)]
    rows.lease(keys, lease)

    def hear(message, state, **kwargs):
        heard.append((message.pk, message.state, state))

    message_state_changed.connect(hear)
    try:
        with CaptureQueriesContext(connection) as queries:
            rows.claim(keys, lease)
    finally:
        message_state_changed.disconnect(hear)
    assert heard == [(pk, "SENDING", "SENDING") for pk in keys]
    assert len(queries) == (2 if connection.vendor == "mysql" else 1)


# A backend with its own way of sending several


def test_a_backend_may_hand_over_many_with_one_request(gateway, monkeypatch):
    calls = []

    def send_messages_at_once(self, messages, *, deadline=None):
        calls.append(len(messages))
        return [accept(sms) for sms in messages]

    monkeypatch.setattr(gateway, "send_messages", send_messages_at_once, raising=False)
    gateway.configure(concurrency=5)
    rows = send_mass_sms("Hello", NUMBERS[:50], preflight=False)
    assert {row.state for row in rows} == {"NEW"}
    assert (calls, gateway.sent) == ([5, 15, 20, 10], [])


def half_done(self, messages, *, deadline=None):
    raise RuntimeError("half of them may have left")


def silent(self, messages, *, deadline=None):
    return [None for _ in messages]


def test_a_backend_that_breaks_over_the_only_message_is_not_silent(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "send_messages", half_done, raising=False)
    with pytest.raises(RuntimeError, match="may have left"):
        send_sms("Hello", NUMBER)
    assert states() == {"SENDING": 1}


@pytest.mark.parametrize(("broken", "error"), [(half_done, RuntimeError), (silent, TypeError)])
def test_a_backend_that_breaks_over_many_leaves_them_to_be_settled(
    gateway, monkeypatch, broken, error
):
    monkeypatch.setattr(gateway, "send_messages", broken, raising=False)
    gateway.configure(concurrency=1)
    with pytest.raises(error, match=r"left|SendResult"):
        send_mass_sms("Hello", NUMBERS[:10], preflight=False)
    assert states() == {"SENDING": 2, "FAILED": 8}


# What stops others


@pytest.mark.parametrize("error", [ContentRefused(code="2044"), InvalidToken()])
def test_after_a_stop_no_other_is_started_in_any_thread(gateway, error):
    gateway.configure(concurrency=8)
    together = threading.Barrier(8)

    def answer(sms):
        together.wait(5)
        raise error

    gateway.answer = staticmethod(answer)
    rows = send_mass_sms("Hello", NUMBERS[:60], preflight=False)
    assert len(gateway.sent) == 8  # those that were under way together
    assert {(row.state, row.error) for row in rows} == {("FAILED", type(error).__name__)}
    assert sum(row.attempts for row in rows) == 8


def test_a_text_that_is_resumed_while_it_is_sent_goes_on(gateway):
    gateway.configure(concurrency=1, queue=True)
    send_mass_sms("Hello", NUMBERS[:20], preflight=False)
    gateway.answer = raises(ContentRefused(code="2044"))
    deliver_due(sms_backends["default"], using="default")
    Suspension.objects.all().delete()
    gateway.answer = staticmethod(accept)
    rows = send_mass_sms("Hello", NUMBERS[20:40], queue=False, preflight=False)
    assert {row.state for row in rows} == {"NEW"}


# Batches of results


def test_what_a_callback_has_moved_meanwhile_is_not_undone(gateway, monkeypatch):
    """Some callbacks come after the answer and before the flush; each finds its row."""

    def hear():
        for message in Message.objects.filter(state="SENDING"):
            if int(message.recipient) % 3 == 0:
                heard = SendResult(provider_id=f"id-{message.reference}", state="DELIVERED")
                Message.objects.filter(pk=message.pk).accept(heard, Cause.EVIDENCE)

    before_results(monkeypatch, hear)
    gateway.answer = staticmethod(
        lambda sms: SendResult(provider_id=f"id-{sms.reference}", state="NEW", prefix="39")
    )
    gateway.configure(concurrency=4)
    for row in send_mass_sms("Hello", NUMBERS[:60], preflight=False):
        state = "DELIVERED" if int(row.recipient) % 3 == 0 else "NEW"
        assert (row.state, row.prefix) == (state, "39")
        assert row.provider_id == f"id-{row.reference}"
    assert not Event.objects.exists()


def test_a_fine_is_kept_though_a_callback_overtakes_the_refusal(gateway, monkeypatch):
    blocked = SendResult(provider_id="blocked", blocklisted=True, error=ContentRefused(status=201))
    gateway.answer = staticmethod(lambda sms: blocked)

    def hear():
        heard = SendResult(provider_id="blocked", state="REJECTED")
        Message.objects.filter(state="SENDING").accept(heard, Cause.EVIDENCE)

    before_results(monkeypatch, hear)
    row = send_sms("Hello", NUMBER)
    assert (row.state, row.blocklisted, row.penalty) == ("REJECTED", True, 1)
    assert not Message.objects.resendable().exists()


def give_up_for_lost():
    """Let another worker find the one row that is under way when its lease is over."""
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert Message.objects.all().abandon() == 1


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (SMSRefused(code="2011", status=422), ("FAILED", "2011")),
        (SMSOutcomeUnknown(code="no_answer"), ("UNKNOWN", "worker_lost")),
    ],
)
def test_a_refusal_that_is_read_when_its_row_was_given_up_for_lost_ends_it(
    gateway, monkeypatch, error, end
):
    """Such as by one who iterates over messages, and pauses for longer than a lease lasts."""
    gateway.answer = raises(error)

    def give_up():
        give_up_for_lost()
        assert states() == {"UNKNOWN": 1}

    before_results(monkeypatch, give_up)
    [row] = send_messages([SMS("Hello", NUMBER)])
    assert (row.state, row.error_code) == end


@pytest.mark.parametrize(("other", "provider_id"), [("", "fined"), ("fined", None)])
def test_a_fine_that_is_read_late_has_the_id_by_which_its_end_is_looked_up(
    gateway, make_message, monkeypatch, other, provider_id
):
    make_message(state=State.PENDING, provider_id=other or None)
    fined = SendResult(provider_id="fined", blocklisted=True, error=ContentRefused(status=201))
    gateway.answer = staticmethod(lambda sms: fined)
    before_results(monkeypatch, give_up_for_lost)
    [row] = send_messages([SMS("Hello", NUMBER)])
    assert (row.state, row.provider_id, row.penalty) == ("FAILED", provider_id, 1)


def test_each_failed_attempt_is_noted_once(gateway):
    gateway.answer = failing_for(
        SMSRefused(code="2011", status=422, detail="Invalid number"), *NUMBERS[:50:2]
    )
    rows = send_mass_sms("Hello", NUMBERS[:50], preflight=False)
    assert [row.state for row in rows] == ["FAILED", "NEW"] * 25
    events = Event.objects.order_by("message").values_list("message", "kind", "state", "error_code")
    assert list(events) == [(row.pk, "attempt", "FAILED", "2011") for row in rows[::2]]


def test_the_signals_of_a_batch_are_sent_once_each_and_when_it_is_committed(gateway):
    heard = []

    def receiver(sender, message, state, signal, **extra):
        heard.append((signal, message.pk, str(state), connection.in_atomic_block))

    gateway.answer = failing_for(SMSRefused(code="2011"), NUMBERS[0])
    signals = (message_sent, message_failed, message_state_changed)
    for signal in signals:
        signal.connect(receiver)
    try:
        failed, *others = send_mass_sms("Hello", NUMBERS[:10], preflight=False)
    finally:
        for signal in signals:
            signal.disconnect(receiver)
    expected = [(message_failed, failed.pk, "FAILED", False)]
    for row in (failed, *others):
        expected.append((message_state_changed, row.pk, "SENDING", False))
        expected.append((message_state_changed, row.pk, row.state, False))
    expected += [(message_sent, row.pk, "NEW", False) for row in others]
    assert Counter(heard) == Counter(expected)


def writes_results(sql):
    """Tell whether it is the statement that moves what was answered, one row or many."""
    return sql.startswith("UPDATE") and "finished_at" in sql.partition("WHERE")[0]


def failing(error, times):
    """Return a wrapper that lets so many writes of results fail."""
    left = [times]

    def wrapper(execute, sql, params, many, context):
        if writes_results(sql) and left[0]:
            left[0] -= 1
            raise error
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


def test_results_that_are_written_together_have_the_same_time(gateway):
    gateway.configure(concurrency=10)
    rows = send_mass_sms("Hello", NUMBERS[:10], preflight=False)
    assert len({row.updated_at for row in rows}) < len(rows)


@pytest.mark.postgresql
def test_postgresql_is_told_of_many_answers_in_one_statement(gateway):
    def answer(sms):
        known = {} if sms.recipient == NUMBERS[0] else {"country": "IT", "segments": 1}
        price = Decimal("0.07") if sms.recipient == NUMBERS[1] else None
        return SendResult(provider_id=str(sms.reference), state="NEW", price=price, **known)

    gateway.answer = staticmethod(answer)
    gateway.configure(concurrency=40)
    with CaptureQueriesContext(connection) as queries:
        rows = send_mass_sms("Hello", NUMBERS[:40], preflight=False)
    assert {row.state for row in rows} == {"NEW"}
    assert [row.provider_id for row in rows] == [str(row.reference) for row in rows]
    assert [row.country for row in rows] == ["", *["IT"] * 39]
    assert [row.price for row in rows] == [None, Decimal("0.07"), *[None] * 38]
    # One for the columns of each kind of answer; arrays only for the kind that has many rows.
    writes = [query["sql"] for query in queries if " = new.p" in query["sql"]]
    assert (len(writes), sum("unnest(" in sql for sql in writes)) == (3, 1)


@pytest.mark.parametrize(
    ("name", "said", "kept"),
    [
        ("price", "0.07", Decimal("0.07")),
        ("total_price", 1, Decimal(1)),
        ("segments", "2", 2),
        ("country", "IT", "IT"),
    ],
)
def test_what_a_field_can_read_is_written_down_whatever_its_type(gateway, name, said, kept):
    def answer(sms):
        return SendResult(provider_id=str(sms.reference), state="NEW", **{name: said})

    gateway.answer = staticmethod(answer)
    rows = send_mass_sms("Hello", NUMBERS[:3], preflight=False)
    assert [(row.state, getattr(row, name)) for row in rows] == [("NEW", kept)] * 3


@pytest.mark.parametrize(("is_away", "times", "count"), [(True, 5, 40), (False, 3, 1)])
def test_what_the_database_does_not_take_at_once_is_kept(
    gateway, monkeypatch, is_away, times, count
):
    """The server is away, or a lock is in the way."""
    monkeypatch.setattr(results, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(results.Results, "_is_away", lambda self: is_away)
    with failing(OperationalError("quotes what was to be stored"), times):
        rows = send_mass_sms("Hello", NUMBERS[:count], preflight=False)
    assert {row.state for row in rows} == {"NEW"}


@pytest.mark.parametrize("word", ["lease_token", "attempts"])
def test_a_call_that_a_lock_ends_leaves_nothing_to_be_sent_later(gateway, word):
    """Its rows are written, and then cannot be leased, or not be claimed."""
    locked = iter([OperationalError("database is locked")])

    def lock(execute, sql, params, many, context):
        if sql.startswith("UPDATE") and f'"{word}" =' in sql.replace("`", '"'):
            for error in locked:
                raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(lock), pytest.raises(OperationalError):
        send_sms("Hello", NUMBER, key="a")
    assert (states(), gateway.sent) == ({"FAILED": 1}, [])
    assert Message.objects.get().error_code == "interrupted"


def test_one_that_the_database_never_takes_loses_no_other(gateway, caplog):
    def refuse(execute, sql, params, many, context):
        if writes_results(sql) and "poison" in str(params):
            raise DataError("quotes what was to be stored")
        return execute(sql, params, many, context)

    def answer(sms):
        poisoned = sms.recipient in (NUMBERS[3], NUMBERS[37])
        return SendResult(provider_id=f"{'poison' * poisoned}{sms.reference}", state="NEW")

    gateway.answer = staticmethod(answer)
    with connection.execute_wrapper(refuse):
        rows = send_mass_sms("Hello", NUMBERS[:60], preflight=False)
    assert [row.recipient for row in rows if row.state == "SENDING"] == [NUMBERS[3], NUMBERS[37]]
    assert states() == {"NEW": 58, "SENDING": 2}
    assert str(rows[3].reference) in caplog.text
    assert "quotes" not in caplog.text


@pytest.mark.parametrize(
    ("bad", "state"),
    [
        # No column can hold the price; or there is no result at all.
        (SendResult(provider_id="bad", state="NEW", price=float("nan")), "SENDING"),
        (SendResult(provider_id="bad", state="NEW", price=Decimal("nan")), "SENDING"),
        (None, "UNKNOWN"),
    ],
)
def test_an_answer_that_cannot_be_used_loses_no_other(gateway, caplog, bad, state):
    gateway.answer = staticmethod(lambda sms: bad if sms.recipient == NUMBERS[3] else accept(sms))
    rows = send_mass_sms("Hello", NUMBERS[:20], preflight=False)
    assert [row.recipient for row in rows if row.state == state] == [NUMBERS[3]]
    assert states() == {"NEW": 19, state: 1}
    assert ("(ValidationError): the message will be UNKNOWN" in caplog.text) == (state == "SENDING")


def test_what_has_not_left_is_ended_whatever_fails_in_the_end(gateway, monkeypatch):
    """A counter cannot be given back, neither at once nor when the delivery is broken off."""

    def locked(*args):
        raise OperationalError("database is locked")

    gateway.configure(concurrency=1, max_segments_per_day=100)
    gateway.answer = raises(SMSRefused(code="2011"))
    monkeypatch.setattr(CounterQuerySet, "give_back", locked)
    with pytest.raises(OperationalError):
        send_mass_sms("Hello", NUMBERS[:20], preflight=False)
    assert states() == {"FAILED": 20}


def test_when_the_database_stays_away_the_error_says_what_becomes_of_the_row(
    gateway, monkeypatch, caplog
):
    monkeypatch.setattr(results, "DATABASE_WAIT_SECONDS", 0)
    monkeypatch.setattr(results.Results, "_is_away", lambda self: True)
    gateway.configure(queue=True)
    message = send_sms("Hello", NUMBER)
    with failing(OperationalError("away"), 100):
        errors = deliver(sms_backends["default"], [message.pk], using="default", inline=True)
    assert errors[message.pk].code == "not_stored"
    assert "will be UNKNOWN" in caplog.text
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliver_due(sms_backends["default"], using="default")
    assert states() == {"UNKNOWN": 1}
    assert len(gateway.sent) == 1


def test_a_move_that_no_table_allows_is_refused(make_message):
    message = make_message(state=State.SENDING)
    with pytest.raises(ValueError, match="Nothing moves from SENDING to CANCELLED"):
        move_together([Move(message, State.CANCELLED)], message.reference, "default")


# Those who iterate


def test_who_stops_iterating_sends_no_more(gateway):
    gateway.configure(concurrency=2)
    rows = iter_send(SMS("Hello", number) for number in NUMBERS)
    next(rows)
    rows.close()
    sent = len(gateway.sent)
    assert sent <= 2 * Load(threads=2).most_sending
    assert states() == {"NEW": sent, "FAILED": 2 + WRITE_ROWS - sent}
    assert set(Message.objects.filter(state="FAILED").values_list("error_code", flat=True)) == {
        "interrupted"
    }


def test_what_came_before_a_failure_of_the_callers_own_still_leaves(gateway):
    def texts():
        for number in NUMBERS[:300]:
            yield SMS("Hello", number)
        raise LookupError("the file ends here")

    done = []
    with pytest.raises(LookupError):
        done.extend(iter_send(texts()))
    assert states() == {"NEW": 250}
    assert len(gateway.sent) == 250


def test_a_transaction_that_is_opened_meanwhile_is_refused_and_nothing_is_sent_twice(gateway):
    gateway.configure(concurrency=2)

    def answer(sms):
        time.sleep(0 if sms.recipient == NUMBERS[0] else 0.03)  # so that others are under way
        return accept(sms)

    gateway.answer = staticmethod(answer)
    rows = iter_send(SMS("Hello", number) for number in NUMBERS[:40])
    next(rows)
    with pytest.raises(TransactionManagementError, match="Between two messages"):
        iterate_inside_a_transaction(rows)
    assert len(gateway.sent) < 40
    past = timezone.now() - timedelta(seconds=1)
    Message.objects.exclude(lease_until=None).update(lease_until=past, next_attempt_at=past)
    deliver_due(sms_backends["default"], using="default")
    # Those under way are unknown, as the end of the transaction has erased what came of them.
    assert set(states()) == {"NEW", "UNKNOWN"}
    assert states()["UNKNOWN"] <= Load(threads=2).most_sending
    assert set(Counter(sms.reference for sms in gateway.sent).values()) == {1}


def iterate_inside_a_transaction(rows):
    with transaction.atomic():
        list(rows)


def test_ctrl_c_keeps_what_was_answered_and_starts_no_more(gateway):
    gateway.configure(concurrency=2)
    gateway.answer = failing_for(KeyboardInterrupt, NUMBERS[5])
    with pytest.raises(KeyboardInterrupt):
        send_messages([SMS("Hello", number) for number in NUMBERS[:100]])
    assert states()["SENDING"] == 1
    assert states()["NEW"] == len(gateway.sent) - 1 < 50
    assert states()["FAILED"] == 100 - len(gateway.sent)


def test_ctrl_c_while_answers_are_written_loses_none(gateway, monkeypatch):
    gateway.configure(concurrency=2)
    keys = iter([KeyboardInterrupt])

    def press():
        for key in keys:
            raise key

    after_each(monkeypatch, results, "move_together", press)
    with pytest.raises(KeyboardInterrupt):
        send_mass_sms("Hello", NUMBERS[:100], preflight=False)
    assert states() == {"NEW": len(gateway.sent), "FAILED": 100 - len(gateway.sent)}


@pytest.mark.parametrize("possible", [0, 3])
def test_where_no_more_threads_can_be_started_nothing_is_waited_for(gateway, monkeypatch, possible):
    start, left = threading.Thread.start, iter(range(possible))

    def refuse(thread):
        if thread.name.startswith("smsww") and next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    def answer(sms):
        time.sleep(0.05)  # so that no thread is idle when the next one is wanted
        return accept(sms)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    gateway.answer = staticmethod(answer)
    with pytest.raises(RuntimeError):
        send_mass_sms("Hello", NUMBERS[:100], preflight=False)
    assert len(gateway.sent) == possible
    assert states() == +Counter(NEW=possible, FAILED=16 - possible)
