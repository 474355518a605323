"""What an error says: English wherever it is kept, the reader's language on a page."""

import pickle

import pytest
from django.utils.translation import override

from django_smsww import InvalidSMS, SMSRefused

TEXT = "%(name)s must be in the years 2000 to 2999."


@pytest.fixture
def error():
    return InvalidSMS(TEXT, params={"name": "send_at"})


def test_an_error_is_english_in_every_language(error):
    with override("it"):
        assert str(error) == "send_at must be in the years 2000 to 2999."


def test_an_error_is_explained_in_the_language_of_the_reader_also_after_a_queue(error):
    carried = pickle.loads(pickle.dumps(error))
    with override("it"):
        assert error.explain() == "send_at deve essere negli anni dal 2000 al 2999."
        assert carried.explain() == error.explain()
        assert SMSRefused().explain() == "Il gateway ha rifiutato il messaggio"
    assert error.explain() == str(error)


def test_a_text_of_somebody_else_is_left_as_it_is():
    assert InvalidSMS("100 % wrong").explain() == "100 % wrong"
