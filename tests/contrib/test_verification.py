"""A code proves that somebody has a number, however many people guess."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import timedelta
from types import ModuleType

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.urls import path
from django.utils import timezone

from django_smsww import InvalidSMS, SMSLimited, SMSOutcomeUnknown, SMSUnavailable
from django_smsww.contrib.verification import (
    VerificationFailed,
    check_verification,
    start_verification,
)
from django_smsww.contrib.verification.models import Verification
from django_smsww.contrib.verification.settings import VerificationOptions
from django_smsww.models import Counter, Message
from django_smsww.testing import assert_sms_sent
from tests.conftest import NUMBER, raises
from tests.support import guides

GUIDE = "verification.md"
REVIEWER = "+39 333 000-0000"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch):
    half = timezone.now().replace(minute=30, second=30)
    monkeypatch.setattr("django_smsww.contrib.code_limits.database_now", lambda using: half)


@pytest.fixture
def options(settings):
    """Return a function that sets options of the project."""

    def configure(**options):
        settings.SMSWW_VERIFICATION = options

    return configure


def code_of(sms):
    return re.match(r"\d+", sms.body)[0]


def start(number=NUMBER):
    """Send a code and return it."""
    start_verification(number)
    return code_of(assert_sms_sent(tag="verification")[-1])


def wrong(code):
    return str((int(code) + 1) % 10**6).zfill(6)


def refusal(code, number=NUMBER):
    with pytest.raises(VerificationFailed) as caught:
        check_verification(number, code)
    return caught.value.code


def end_cooldown():
    Message.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    Counter.objects.filter(scope__startswith="code:cooldown").delete()


# Codes


def test_the_code_verifies_its_number_once():
    code = start()
    assert len(code) == 6
    assert check_verification(NUMBER, code) == NUMBER
    assert refusal(code) == "code_expired"


@pytest.mark.parametrize("spelling", ["+39 333 123-4567", "0039 333 1234567"])
def test_other_spellings_of_number_and_code_are_the_same(spelling):
    code = start()
    assert check_verification(spelling, f" {code[:3]} {code[3:]} ") == NUMBER


def test_a_code_is_for_its_number_alone():
    code = start()
    start("+34612345678")
    assert refusal(code, "+34612345678") == "wrong_code"
    assert refusal(code, "+4915112345678") == "code_expired"


def test_the_latest_code_alone_is_valid():
    first = start()
    end_cooldown()
    second = start()
    if first != second:
        assert refusal(first) == "wrong_code"
    assert check_verification(NUMBER, second) == NUMBER


def test_after_five_wrong_codes_the_right_one_is_refused_too():
    code = start()
    refusals = [refusal(wrong(code)) for _ in range(5)]
    assert refusals == ["wrong_code"] * 4 + ["too_many_attempts"]
    assert refusal(code) == "too_many_attempts"
    end_cooldown()
    assert check_verification(NUMBER, start()) == NUMBER


def test_a_code_is_too_old_in_the_end():
    code = start()
    Verification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal(code) == "code_expired"


@pytest.mark.parametrize("code", ["", None, 0, "not a code", "\x00", "\ud800"])
def test_what_is_no_code_is_wrong(code):
    start()
    assert refusal(code) == "wrong_code"


@pytest.mark.parametrize("number", ["", None, 7, "12", "\x00", "\ud800"])
def test_what_is_no_number_has_no_code(number):
    assert refusal("123456", number) == "code_expired"
    with pytest.raises(InvalidSMS):
        start_verification(number)
    assert not Verification.objects.exists()


def test_a_refusal_is_an_error_of_a_form():
    with pytest.raises(ValidationError) as caught:
        check_verification(NUMBER, "123456")
    assert caught.value.messages == ["The code is not valid any more. Ask for another one."]


def test_number_and_code_are_nowhere_in_clear():
    code = start()
    [message] = Message.objects.all()
    assert (message.sensitive, message.body, message.tag) == (True, "", "verification")
    [row] = Verification.objects.values_list()
    assert not re.search(rf"{NUMBER[1:]}|\b{code}\b", repr(row))


def test_expired_codes_go_when_another_one_is_sent():
    start()
    Verification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    start("+34612345678")
    assert Verification.objects.count() == 1


# Sending


def test_a_code_that_waits_too_long_is_not_sent():
    verification = start_verification(NUMBER)
    assert Message.objects.get().expires_at == verification.expires_at
    assert timedelta(minutes=9) < verification.expires_at - timezone.now() <= timedelta(minutes=10)


def test_a_second_code_has_to_wait_and_leaves_the_first_valid():
    code = start()
    with pytest.raises(SMSLimited) as caught:
        start_verification(NUMBER.replace("3", "3 "))
    assert (caught.value.code, 50 <= caught.value.retry_after <= 60) == ("cooldown", True)
    assert check_verification(NUMBER, code) == NUMBER


def test_a_number_gets_five_codes_an_hour():
    for _ in range(5):
        start()
        end_cooldown()
    with pytest.raises(SMSLimited) as caught:
        start_verification(NUMBER)
    assert caught.value.code == "max_per_number"


@pytest.mark.django_db(transaction=True)
def test_a_code_that_was_not_sent_is_not_valid_and_costs_no_place(gateway):
    gateway.answer = raises(SMSUnavailable())
    for _ in range(2):
        with pytest.raises(SMSUnavailable):
            start_verification(NUMBER)
    assert not Verification.objects.exists()
    assert {counter.used for counter in Counter.objects.all()} == {0}


@pytest.mark.django_db(transaction=True)
def test_a_code_that_may_have_been_sent_is_valid(gateway):
    gateway.answer = raises(ValueError)  # nobody knows
    with pytest.raises(SMSOutcomeUnknown):
        start_verification(NUMBER)
    assert check_verification(NUMBER, code_of(gateway.sent[0])) == NUMBER


@pytest.mark.django_db(transaction=True)
def test_calls_with_one_key_send_one_code_which_stays_valid(gateway, options):
    options(cooldown=0)
    for _ in range(2):
        start_verification(NUMBER, key="sign-up-7")
    [sms] = gateway.sent
    start_verification("+34612345678", key="sign-up-8")
    assert code_of(gateway.sent[1]) != code_of(sms)
    assert check_verification(NUMBER, code_of(sms)) == NUMBER


@pytest.mark.django_db(transaction=True)
def test_a_limit_does_not_take_the_code_of_the_same_key_away(gateway):
    start_verification(NUMBER, key="sign-up-7")
    with pytest.raises(SMSLimited):
        start_verification(NUMBER, key="sign-up-7")
    assert check_verification(NUMBER, code_of(gateway.sent[0])) == NUMBER


def test_a_project_has_a_text_and_a_length_of_its_own(options, settings, tmp_path):
    (tmp_path / "own.txt").write_text("{{ token }} for {{ minutes }} min")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    options(template_name="own.txt", length=8, validity=120, max_per_number=None)
    start_verification(NUMBER)
    assert_sms_sent(body=re.compile(r"^\d{8} for 2 min$"))


# Transactions and races


@pytest.mark.django_db(transaction=True)
def test_neither_runs_in_a_transaction_whose_rollback_would_give_attempts_back(gateway):
    code = start_and_read(gateway)
    for call in (lambda: start_verification("+34612345678"), lambda: refusal(wrong(code))):
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            call()
    assert len(gateway.sent) == 1
    assert check_verification(NUMBER, code) == NUMBER


def start_and_read(gateway):
    start_verification(NUMBER)
    return code_of(gateway.sent[-1])


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_no_more_are_compared_than_there_are_attempts(gateway):
    code = start_and_read(gateway)
    codes = [wrong(code)] * 40
    assert sorted(guess_at_once(codes)) == ["too_many_attempts"] * 36 + ["wrong_code"] * 4
    assert Verification.objects.get().attempts_left == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_right_codes_at_once_one_wins(gateway):
    code = start_and_read(gateway)
    assert sorted(guess_at_once([code] * 40)) == ["code_expired"] * 39 + ["verified"]


def guess_at_once(codes):
    """Check these codes in as many threads; return what each was told."""

    def guess(code):
        try:
            check_verification(NUMBER, code)
        except VerificationFailed as error:
            return error.code
        finally:
            connection.close()
        return "verified"

    with ThreadPoolExecutor(len(codes)) as pool:
        return list(pool.map(guess, codes))


# Test numbers


@pytest.fixture
def reviewer(options):
    options(test_numbers={REVIEWER: "123456"})


def test_a_test_number_has_a_fixed_code_and_gets_no_message(reviewer):
    start_verification(REVIEWER)
    assert not Message.objects.exists()
    assert refusal("654321", REVIEWER) == "wrong_code"
    assert check_verification(REVIEWER, "123456") == "+393330000000"
    assert start(NUMBER) != "123456"


def test_a_test_number_has_the_limits_of_others(reviewer):
    with pytest.raises(VerificationFailed):
        check_verification(REVIEWER, "123456")
    start_verification(REVIEWER)
    with pytest.raises(SMSLimited):
        start_verification(REVIEWER)


# The guide


@pytest.fixture
def shop(settings, tmp_path, monkeypatch):
    """The shop of the guide, as modules of the project, with a page that shows the number."""
    (tmp_path / "shop").mkdir()
    [page] = guides.blocks_of(GUIDE, "html")
    (tmp_path / "shop" / "form.html").write_text(page)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    for name in ("shop", "shop.forms", "shop.views", "shop.urls"):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        if name != "shop":
            vars(module).update(guides.run_file(GUIDE, name.replace(".", "/") + ".py"))

    def order(request):
        return HttpResponse(request.session["verified_number"])

    sys.modules["shop.urls"].urlpatterns.append(path("order/", order, name="order"))
    settings.ROOT_URLCONF = "shop.urls"


def test_the_shop_of_the_guide_verifies_a_number(shop, client):
    assert client.post("/number/", {"number": "+39 333 123 4567"}).url == "/code/"
    code = code_of(assert_sms_sent()[0])
    refused = client.post("/code/", {"code": wrong(code)})
    assert refused.context["form"].errors == {"code": ["This is not the code that was sent."]}
    assert client.post("/code/", {"code": code}, follow=True).text == NUMBER


@pytest.mark.parametrize(
    ("number", "told"), [("12", "No code can be sent"), (NUMBER, "No new code was sent")]
)
def test_the_shop_of_the_guide_says_why_there_is_no_code(shop, client, number, told):
    start()
    [error] = client.post("/number/", {"number": number}).context["form"].errors["number"]
    assert error.startswith(told)
    assert_sms_sent(count=1)


def test_the_guide_names_every_option_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", guides.text_of(GUIDE), re.MULTILINE))
    defaults = VerificationOptions()
    assert list(rows) == [each.name for each in fields(VerificationOptions)]
    assert {name: repr(getattr(defaults, name)).replace("'", '"') for name in rows} == rows


@pytest.mark.parametrize("file", ["mysite/options.py", "mysite/review.py"])
def test_the_options_of_the_guide_are_valid(options, settings, file):
    settings.SMSWW = settings.SMSWW | {"codes": settings.SMSWW["default"]}
    options(**guides.run_file(GUIDE, file)["SMSWW_VERIFICATION"])
    assert found() == set()


# Checks


def found(deploy=False):
    messages = run_checks(tags=["sms"], include_deployment_checks=deploy)
    return {message.id for message in messages} & {"smsww.E031", "smsww.W031"}


def test_test_numbers_are_warned_of_in_production(reviewer):
    assert (found(), found(deploy=True)) == (set(), {"smsww.W031"})


@pytest.mark.parametrize(
    "wrong",
    [{"tset_numbers": {}}]
    + [{"test_numbers": {number: code}} for number, code in [("12", "1"), (NUMBER, "")]],
)
def test_wrong_options_are_errors(options, wrong):
    options(**wrong)
    assert found() == {"smsww.E031"}


def test_an_unknown_option_is_named_where_it_is_used(options):
    options(attempt=3)
    with pytest.raises(ImproperlyConfigured, match=r"no option 'attempt'\. It has: using"):
        start_verification(NUMBER)


def test_its_migrations_are_complete():
    call_command("makemigrations", "smsww_verification", check=True, dry_run=True, verbosity=0)
