"""What an error says: English wherever it is kept, the reader's language on a page."""

import pickle

import pytest
from django.utils.translation import override

import django_smsww
from django_smsww import (
    InvalidSMS,
    InvalidSMSBackend,
    SMSBackendDoesNotExist,
    SMSRefused,
    SMSUnavailable,
    sms_backends,
)

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


def test_an_error_with_an_answer_does_not_say_that_the_gateway_was_not_reached():
    answered, unreached = SMSUnavailable(status=503), SMSUnavailable()
    assert (answered.summary, unreached.summary) == (
        "The gateway did not accept the message; nothing was sent",
        "The gateway could not be reached; nothing was sent",
    )


PUBLIC = [getattr(django_smsww, name) for name in django_smsww.__all__]
KINDS = [kind for kind in PUBLIC if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_the_same_after_a_queue(kind):
    is_backend = issubclass(kind, InvalidSMSBackend)
    given = {} if is_backend else {"code": "2011", "detail": "words", "status": 422}
    error = kind("other", **given)
    carried = error
    for _ in range(2):
        carried = pickle.loads(pickle.dumps(carried))
        assert (type(carried), str(carried)) == (kind, str(error))
        assert vars(carried) == vars(error)


def test_an_unknown_alias_is_named_once_after_a_queue():
    with pytest.raises(SMSBackendDoesNotExist) as caught:
        sms_backends["nowhere"]
    carried = pickle.loads(pickle.dumps(caught.value))
    assert str(carried) == "The SMS backend 'nowhere' is not configured."
