"""The list is read whatever its order and its pages are, and a gap in it proves nothing."""

import pytest

from django_smsww.reconcile import Reason, sync

from ..support.provider_list import ListedBackend, entry
from ..support.sampling import slow_unless
from .conftest import listed, reasons, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("page_size", slow_unless((7).__eq__, [2, 7, 50, 100]))
@pytest.mark.parametrize("oldest_first", [False, True])
def test_any_page_size_and_order_is_understood(unknown, many, page_size, oldest_first):
    found, absent = unknown(60), unknown(61)
    backend = listed(entry(found), *many(120, newest=11), page_size=page_size)
    backend.entries = backend.entries[:: -1 if oldest_first else 1]
    sync(backend)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


def test_messages_that_arrive_while_the_list_is_read_hide_nothing(unknown, accepted, many):
    found, absent = unknown(60), unknown(61)
    backend = listed(entry(found), *many(120), page_size=10)
    arriving = iter([entry(accepted(0.01)) for _ in range(20)])

    def arrive(number):
        for _ in range(3 if number else 0):
            if one := next(arriving, None):
                backend.entries.insert(0, one)

    backend.on_page = arrive
    sync(backend)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


def test_a_gap_between_two_pages_is_noticed(unknown, many):
    unknown(60)
    backend = listed(*many(100), page_size=10)

    def vanish(number):
        del backend.entries[: 3 if number == 2 else 0]

    backend.on_page = vanish
    assert reasons(sync(backend)) == [Reason.NOT_READ]


def test_pages_of_one_find_and_prove_nothing(unknown, bracket):
    """They cannot overlap, so a gap between them would not be noticed."""
    found = unknown(30)
    unknown(31)
    backend = listed(entry(found), *bracket, page_size=1)
    assert reasons(sync(backend)) == [Reason.NOT_READ]
    assert state_of(found) == "DELIVERED"


def test_a_list_that_ignores_the_position_ends(unknown, bracket):
    unknown()
    backend = ListedBackend()
    backend.fetch_page = lambda skip, limit: bracket
    report = sync(backend)
    assert (report.requests < 10, reasons(report)) == (True, [Reason.NOT_READ])


def test_a_list_without_order_is_read_to_its_end(unknown, many):
    absent = unknown(60)
    entries = many(150)
    report = sync(ListedBackend(*entries[::2], *entries[1::2]))
    assert (state_of(absent), report.pages) == ("FAILED", 3)


def test_the_list_is_read_no_further_than_needed(unknown, many):
    backend = listed(entry(unknown(20)), *many(300, newest=21))
    assert sync(backend).requests == 1
    unknown(40)
    assert sync(backend).requests == 1


def test_of_a_list_that_begins_with_the_oldest_the_old_part_is_skipped(unknown, many):
    absent = unknown(60)
    report = sync(ListedBackend(*reversed(many(1000)), page_size=25))
    assert state_of(absent) == "FAILED"
    assert report.requests < 20
