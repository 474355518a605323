"""Whatever comes to the callback door, in whatever order, the row tells what the design allows.

`Model` says it once more, without a database: the words climb three steps and never come down, the
facts are those of the newest version, and only what is authentic counts.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from django_smsww import SendResult, SMSOutcomeUnknown, State, clock, states
from django_smsww.callbacks import refusals, views
from django_smsww.gateway import signature as signing
from django_smsww.models import Callback, Message, MessageQuerySet, Outcome
from django_smsww.models import provider_facts as facts

from ..support.door import ENVIRONMENT, FORM, mark, post, signed

pytestmark = pytest.mark.django_db

STEPS = {"NEW": 1, "PENDING": 2, "DELIVERED": 3, "UNDELIVERABLE": 3, "EXPIRED": 3, "REJECTED": 3}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


# What comes


@dataclass(frozen=True)
class Said:
    """What a callback says of a message; `minute` is the version of the provider's record."""

    word: str
    minute: int | None
    price: str | int | None
    country: str | None
    delivered: int | None
    owner: str  # whose id it bears

    def document(self, ids):
        return {
            "id": ids[self.owner],
            "state": self.word,
            "price": self.price,
            "totalPrice": self.price,
            "countryCode": self.country,
            "updatedAt": None if self.minute is None else at(self.minute).isoformat(),
            "deliveredAt": None if self.delivered is None else at(self.delivered).isoformat(),
        }


@dataclass(frozen=True)
class Event:
    """Something that happens: a kind of callback, or how the send's own answer turned out."""

    kind: str
    said: Said
    way: str = "custom"
    form: bool = False
    step: int = 0  # at which of its statements the storage fails

    @property
    def status(self):
        """The door's answer to an authentic callback: one without a state is not accepted."""
        return 200 if self.said.word else 400


def at(minute):
    return NOON + timedelta(minutes=minute)


minutes = st.none() | st.integers(0, 4)
said = st.builds(
    Said,
    word=st.sampled_from([*STEPS, "SHREDDED", "QUEUED", "FAILED", "delivered", ""]),
    minute=minutes,
    price=st.sampled_from([None, 0, "0", "0.05", "0.07"]),
    country=st.sampled_from([None, "IT", "ES"]),
    delivered=minutes,
    owner=st.sampled_from(["own", "own", "own", "none", "twin", "stray"]),
)
AUTHENTIC = ["authentic"] * 6
UNHEARD = ["forged", "unsigned", "staging", "borrowed", "two_faced"]
CRASHES = ["crashed"] * 3
ANSWERS = ["answered", "unanswered"]
ELSEWHERE = ["foreign", "other", "disagreeing", "unreadable"]
events = st.builds(
    Event,
    kind=st.sampled_from([*AUTHENTIC, *UNHEARD, *ELSEWHERE, *ANSWERS, *CRASHES, "repeated"]),
    said=said,
    way=st.sampled_from(["custom", "header", "both"]),
    form=st.booleans(),
    step=st.integers(0, 7),
)
starts = st.sampled_from(list(State))
sequences = st.lists(events, min_size=1, max_size=8)
long_sequences = st.lists(events, min_size=50, max_size=50)


# What the design allows


@dataclass
class Model:
    """A row as it should be, told from the design and not from the code."""

    state: str
    provider_id: str | None = None
    minute: int | None = None
    facts: dict = field(default_factory=dict)

    def hear(self, said, ids, others=()):
        """Take what is authentic; return the outcome."""
        if self.provider_id != ids[said.owner] and not self._may_adopt(ids[said.owner], others):
            return "mismatch"
        self._merge(said)
        self.provider_id = self.provider_id or ids[said.owner] or None
        if said.word not in STEPS:
            return "unknown_word"
        if not self._may_move(said.word):
            return "stood"
        self.state = said.word
        return "moved"

    def answer(self, ids, others):
        """Take the answer to the send: its id is right, whatever was heard before."""
        said = Said("NEW", None, None, None, None, "own")
        if self.hear(said, ids, others) != "mismatch":
            return
        if ids["own"] in others or self.state == "VALIDATED":
            self.hear(replace(said, owner="none"), ids)
        else:
            self.state, self.provider_id, self.minute, self.facts = "NEW", ids["own"], None, {}

    def _may_adopt(self, provider_id, others):
        return not provider_id or (self.provider_id is None and provider_id not in others)

    def _may_move(self, word):
        return self.state != "VALIDATED" and STEPS.get(self.state, 0) < STEPS[word]

    def _merge(self, said):
        newer = self.minute is None or (said.minute is not None and said.minute > self.minute)
        self._take("country", said.country, newer)
        self._take("delivered_at", said.delivered, newer)
        price = None if said.price is None else Decimal(said.price)
        if price:
            self._take("price", price, newer or self.facts.get("price") == 0)
        elif price is not None and STEPS.get(said.word) == 3:
            self._take("price", price, False)
        if said.minute is not None and newer:
            self.minute = said.minute

    def _take(self, name, value, newer):
        if value is not None and (newer or self.facts.get(name) is None):
            self.facts[name] = value


# The world in which it happens


class World:
    """One message, another one, and a third that is not here, with what each should be."""

    def __init__(self, start):
        self.message, self.other = (self._row(state) for state in (start, State.NEW))
        self.foreign = Message(reference=uuid4(), environment=ENVIRONMENT)
        self.ids = {owner: uuid4().hex for owner in ("own", "twin", "stray")} | {"none": ""}
        self.ids["own"] = f"own-{self.ids['own']}"
        Message.objects.filter(pk=self.other.pk).update(provider_id=self.ids["twin"])
        self.model = Model(str(start))
        self.other_model = Model("NEW", self.ids["twin"])
        self.heard = {row.reference: 0 for row in (self.message, self.other, self.foreign)}
        self.last = None

    def _row(self, state):
        return Message.objects.create(
            alias="default",
            environment=ENVIRONMENT,
            recipient="+393331234567",
            expires_at=timezone.now(),
            state=state,
        )

    def happen(self, event):
        if event.kind != "repeated":
            self.last = event
        elif self.last is None:
            return
        event = self.last
        getattr(self, f"do_{event.kind}", self.do_unheard)(event)
        self.check()

    # Each says what happens, and what should come of it

    def do_authentic(self, event):
        expected = self.model.hear(event.said, self.ids, {self.other_model.provider_id})
        assert self.deliver(event, self.message) == (event.status, expected)
        self.heard[self.message.reference] += 1

    def do_other(self, event):
        expected = self.other_model.hear(event.said, self.ids, {self.model.provider_id})
        assert self.deliver(event, self.other) == (event.status, expected)
        self.heard[self.other.reference] += 1

    def do_foreign(self, event):
        assert self.deliver(event, self.foreign) == (event.status, "no_row")
        self.heard[self.foreign.reference] += 1

    def do_disagreeing(self, event):
        custom = {"custom": mark(self.other)}
        answer = self.send(event, custom, signed(self.message))
        assert answer == (event.status, "mismatch")
        self.heard[self.message.reference] += 1

    def do_unreadable(self, event):
        """The header is authentic, and the body was cut: it is kept, and moves nothing."""
        nothing = Said("", None, None, None, None, "none")
        answer = self.send(event, {}, signed(self.message), spoil=True)
        assert answer == (400, self.model.hear(nothing, self.ids))
        self.heard[self.message.reference] += 1

    def do_unheard(self, event):
        """Nothing authentic: nothing comes of it."""
        stranger = Message(reference=self.message.reference, environment="staging")
        custom, headers = {
            "forged": ({"custom": mark(self.message, signature="A" * 43)}, {}),
            "unsigned": ({"custom": {"order": 1}}, {}),
            "staging": ({"custom": mark(stranger, environment=ENVIRONMENT)}, {}),
            "borrowed": ({"custom": mark(self.other, reference=str(self.message.reference))}, {}),
            "two_faced": ({"custom": mark(self.message)}, {signing.HEADER: "a:b:c"}),
        }[event.kind]
        assert self.send(event, custom, headers)[0] == 401

    def do_answered(self, event):
        """The send's own answer is read."""
        self.model.answer(self.ids, {self.other_model.provider_id})
        self.message.accept(SendResult(provider_id=self.ids["own"], state="NEW"))

    def do_crashed(self, event):
        """The storage fails in the middle: nothing is kept, and the gateway posts it again."""
        refusals.unwritten.clear()  # or the counts of earlier refusals are written beside it
        left = iter(range(event.step))

        def fail_once(execute, sql, *args):
            is_counted = "heartbeat" not in sql and sql not in clock._QUERIES.values()
            if is_counted and next(left, None) is None and not failed:
                failed.append(sql)
                raise OperationalError
            return execute(sql, *args)

        failed, before = [], self.stored()
        with connection.execute_wrapper(fail_once):
            answer = self.deliver(event, self.message)
        if failed:
            assert (answer[0], self.stored()) == (503, before)
            answer = self.deliver(event, self.message)
        others = {self.other_model.provider_id}
        assert answer == (event.status, self.model.hear(event.said, self.ids, others))
        self.heard[self.message.reference] += 1

    def stored(self):
        """Return all that the door may write of these messages."""
        references = list(self.heard)
        models = (Message, Callback)
        return [list(each.objects.filter(reference__in=references).values()) for each in models]

    def do_unanswered(self, event):
        """The answer never comes. This is the one move here on a word other than the provider's."""
        self.message.fail(SMSOutcomeUnknown())
        if self.model.state == "SENDING":
            self.model.state = "UNKNOWN"

    def deliver(self, event, message):
        custom = {"custom": mark(message)} if event.way != "header" else {}
        headers = signed(message) if event.way != "custom" else {}
        return self.send(event, custom, headers)

    def send(self, event, custom, headers, *, spoil=False):
        payload = {"data": event.said.document(self.ids)} | custom
        body, content_type = json.dumps(payload), "application/json"
        body = body[:-1] if spoil else body
        if event.form:
            body, content_type = urlencode({"data": body}), FORM
        response = post(body.encode(), headers, content_type)
        return response.status_code, response.json().get("outcome")

    # What is

    def check(self):
        self.check_row(self.message, self.model)
        self.check_row(self.other, self.other_model)
        for reference, heard in self.heard.items():
            kept = Callback.objects.filter(reference=reference)
            assert sum(kept.values_list("times", flat=True)) == heard

    def check_row(self, message, model):
        row = Message.objects.get(pk=message.pk)
        assert (row.state, row.provider_id) == (model.state, model.provider_id)
        minutes = {name: getattr(row, name) for name in ("provider_updated_at", "delivered_at")}
        known = {"provider_updated_at": model.minute} | model.facts
        expected = {name: None if known.get(name) is None else at(known[name]) for name in minutes}
        assert minutes == expected
        assert (row.price, row.total_price) == (known.get("price"), known.get("price"))
        assert row.country == known.get("country", "")


def check_sequence(start, sequence):
    world = World(start)
    for event in sequence:
        world.happen(event)


@settings(database=None)
@given(starts, sequences)
def test_any_sequence_of_callbacks_leaves_what_the_design_allows(start, sequence):
    check_sequence(start, sequence)


@settings(max_examples=settings.default.max_examples // 15, database=None)
@given(starts, long_sequences)
def test_fifty_callbacks_with_crashes_between_leave_it_too(start, sequence):
    check_sequence(start, sequence)


@settings(database=None)
@given(starts, st.lists(events.filter(lambda event: event.kind in UNHEARD), max_size=6))
def test_nothing_but_authentic_input_moves_or_stores_anything(start, sequence):
    before = Callback.objects.count()
    world = World(start)
    untouched = Message.objects.filter(pk=world.message.pk).values().get()
    for event in sequence:
        world.do_unheard(event)
    assert Message.objects.filter(pk=world.message.pk).values().get() == untouched
    assert Callback.objects.count() == before


# That the property can fail


def believe_everybody(monkeypatch):
    monkeypatch.setattr(signing.Stamp, "is_authentic", True)


def let_the_latest_win(monkeypatch):
    anything = frozenset(State)
    table = {word: anything - {word} for word in states.PROVIDER}
    monkeypatch.setitem(states.MOVES, states.Cause.EVIDENCE, table)


def forget_prices(monkeypatch):
    real = facts._prices
    monkeypatch.setattr(
        facts, "_prices", lambda *args: real(*args) | {"price": args[1].price or Decimal(0)}
    )


def take_any_id(monkeypatch):
    monkeypatch.setattr(
        MessageQuerySet, "_has_id", lambda rows, provider_id: Q(provider_id__isnull=True)
    )


def thank_for_what_was_lost(monkeypatch):
    record = views.record

    def careless(*args, **kwargs):
        try:
            return record(*args, **kwargs)
        except OperationalError:
            return Outcome.MOVED

    monkeypatch.setattr(views, "record", careless)


def ignore_versions(monkeypatch):
    merging = facts._Merging
    monkeypatch.setattr(
        merging, "newer", lambda self, name, value, otherwise="": merging.first(self, name, value)
    )


def forget_repeats(monkeypatch):
    monkeypatch.setattr(type(Callback.objects.all()), "count_again", lambda rows, **changes: None)


@pytest.mark.parametrize(
    "break_it",
    [
        let_the_latest_win,
        *(
            pytest.param(change, marks=pytest.mark.slow)
            for change in (
                believe_everybody,
                forget_prices,
                take_any_id,
                thank_for_what_was_lost,
                ignore_versions,
                forget_repeats,
            )
        ),
    ],
)
def test_the_property_fails_where_the_code_is_wrong(break_it, monkeypatch):
    break_it(monkeypatch)
    attempt = given(starts, sequences)(check_sequence)
    search = settings(max_examples=400, database=None, derandomize=True, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        search(attempt)()
