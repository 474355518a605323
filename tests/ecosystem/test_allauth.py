"""Logging in by telephone with django-allauth."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import translation

from django_smsww import InsufficientCredit, SMSUnavailable, render_sms
from django_smsww.models import Counter, Message
from django_smsww.segments import count_segments
from django_smsww.testing import assert_sms_sent
from tests.conftest import raises
from tests.support import guides

from .conftest import LIMITED, NUMBER

pytest.importorskip("allauth")

from allauth.account.adapter import get_adapter

from .people.models import Telephone

REQUEST, CONFIRM, VERIFY, CHANGE, LOGIN, SIGNUP = (
    f"/accounts/{page}/"
    for page in (
        "login/code",
        "login/code/confirm",
        "phone/verify",
        "phone/change",
        "login",
        "signup",
    )
)
OTHER = "+34612345678"
PASSWORD = "a-long-pass-word"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rates(settings):
    """Leave the limits to us: those of allauth count in a cache that tests share."""
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def phone(user):
    return Telephone.objects.create(user=user, number=NUMBER, verified=True)


def code_of(sms):
    return re.match(r"\S+", sms.body)[0]


def ask(client, number=NUMBER):
    return client.post(REQUEST, {"phone": number})


def errors_of(response, field="phone"):
    return response.context["form"].errors[field]


def told(response):
    return [str(each) for each in get_messages(response.wsgi_request)]


def user_of(client):
    return client.session.get("_auth_user_id")


def end_cooldown():
    Message.objects.all().delete()
    Counter.objects.filter(scope__startswith="code:cooldown").delete()


def test_a_user_logs_in_with_a_code(phone, client):
    assert ask(client).url == CONFIRM
    [sms] = assert_sms_sent(recipient=NUMBER, tag="allauth")
    assert "It is valid for 3 minutes." in sms.body
    message = Message.objects.get()
    assert (message.sensitive, message.body, message.created_by) == (True, "", phone.user)
    assert client.post(CONFIRM, {"code": code_of(sms)}).status_code == 302
    assert user_of(client) == str(phone.user.pk)


def test_a_user_signs_up_with_a_number_and_verifies_it(client):
    form = {"username": "bob", "phone": NUMBER, "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(SIGNUP, form).url == VERIFY
    [sms] = assert_sms_sent(recipient=NUMBER)
    assert not Telephone.objects.get().verified
    client.post(VERIFY, {"code": code_of(sms)})
    assert (Telephone.objects.get().verified, bool(user_of(client))) == (True, True)
    assert get_user_model().objects.get().telephone.number == NUMBER


# No code


@pytest.fixture
def broke(gateway):
    gateway.answer = raises(InsufficientCredit())


TRY_LATER = "The code could not be sent. Try again later."


def test_a_second_code_has_to_wait_and_the_form_says_so(phone, client):
    ask(client)
    [error] = errors_of(ask(Client()))
    assert 50 <= int(re.fullmatch(LIMITED, error)[1]) <= 60
    [sms] = assert_sms_sent()
    # The code that is on its way is good in the meantime.
    client.post(CONFIRM, {"code": code_of(sms)})
    assert user_of(client)


def test_the_form_keeps_the_number_and_shows_the_reason(phone):
    ask(Client())
    page = ask(Client())
    assert page.status_code == 200
    assert f'value="{NUMBER}"' in page.text
    assert "No new code was sent." in page.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [NUMBER, OTHER])
def test_an_empty_wallet_is_an_error_of_the_form(broke, phone, client, number):
    assert errors_of(ask(client, number)) == [TRY_LATER]
    assert {counter.used for counter in Counter.objects.all()} == {0}


@pytest.mark.parametrize("number", ["+123456", "+4915112345678"])
def test_a_number_that_gets_no_code_is_an_error_of_the_form(db, client, settings, number):
    options = {"allowed_countries": ["IT"]}
    settings.SMSWW = {"default": settings.SMSWW["default"] | {"OPTIONS": options}}
    [error] = errors_of(ask(client, number))
    assert error.startswith("No code can be sent to this number.")


@pytest.mark.django_db(transaction=True)
def test_a_code_that_may_have_been_sent_is_good(gateway, phone, client):
    gateway.answer = raises(ValueError)  # nobody knows
    response = ask(client)
    assert (response.url, told(response)[0]) == (
        CONFIRM,
        "The code may not arrive. If it does not, ask for another one.",
    )
    client.post(CONFIRM, {"code": code_of(gateway.sent[0])})
    assert user_of(client)


@pytest.mark.django_db(transaction=True)
def test_a_sign_up_goes_on_without_a_code(broke, client):
    form = {"username": "bob", "phone": NUMBER, "password1": PASSWORD, "password2": PASSWORD}
    response = client.post(SIGNUP, form)
    assert (response.url, told(response)[0]) == (VERIFY, TRY_LATER)
    assert Telephone.objects.get().number == NUMBER
    assert client.get(VERIFY).status_code == 200


def test_who_logs_in_with_a_password_has_to_wait_for_a_code_too(user, client):
    Telephone.objects.create(user=user, number=NUMBER)
    form = {"login": NUMBER, "password": "a-pass-word"}
    assert client.post(LOGIN, form).url == VERIFY
    other = Client()
    [error] = errors_of(other.post(LOGIN, form), "__all__")
    assert re.fullmatch(LIMITED, error)
    assert not user_of(other)


def test_a_user_changes_the_number(phone, client):
    client.force_login(phone.user)
    assert client.post(CHANGE, {"phone": OTHER}).url == VERIFY
    [sms] = assert_sms_sent(recipient=OTHER)
    [error] = errors_of(client.post(CHANGE, {"phone": OTHER}))
    assert re.fullmatch(LIMITED, error)
    client.post(VERIFY, {"code": code_of(sms)})
    phone.refresh_from_db()
    assert (phone.number, phone.verified) == (OTHER, True)


@pytest.mark.parametrize("page", [CONFIRM, VERIFY])
def test_a_code_that_is_asked_for_again_too_soon_leaves_the_last_one_valid(
    user, client, settings, page
):
    settings.ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
    settings.ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND = True
    Telephone.objects.create(user=user, number=NUMBER, verified=page == CONFIRM)
    if page == CONFIRM:
        ask(client)
    else:
        client.post(LOGIN, {"login": NUMBER, "password": "a-pass-word"})
    response = client.post(page, {"action": "resend"})
    assert response.url == page
    assert re.fullmatch(LIMITED, told(response)[-1])
    [sms] = assert_sms_sent()
    client.post(page, {"code": code_of(sms)})
    assert user_of(client)


def test_without_a_request_the_error_is_raised(gateway, transactional_db):
    gateway.answer = raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable):
        get_adapter().send_unknown_account_sms(NUMBER)


# Nobody learns who has an account


def seen(response):
    """Return what a visitor sees, without the number and the token of the form."""
    page = getattr(response, "url", None) or response.text
    return re.sub(r'csrfmiddlewaretoken" value="\w+|\+39333\d+|in \d+ seconds', "", page)


@pytest.mark.parametrize("times", [1, 2, 6])
def test_numbers_with_and_without_an_account_are_answered_alike(phone, times):
    pages = []
    for number in (NUMBER, "+393330000000"):
        for _time in range(times):
            if times == 6:
                end_cooldown()
            page = ask(Client(), number)
        pages.append((page.status_code, seen(page), len(told(page))))
    assert pages[0] == pages[1]
    texts = {sms.recipient: sms.body for sms in assert_sms_sent()}
    assert "no account has it" in texts["+393330000000"]


def test_a_sign_up_with_the_number_of_an_account_looks_like_one(phone, client):
    form = {"username": "bob", "phone": NUMBER, "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(SIGNUP, form).url == VERIFY
    [sms] = assert_sms_sent(recipient=NUMBER)
    assert "an account has it already" in sms.body
    assert get_user_model().objects.count() == 1


@pytest.mark.parametrize("name", ["unknown_account", "account_exists"])
def test_the_texts_of_the_package_fit_into_one_segment(name):
    with translation.override("en"):
        assert count_segments(render_sms(f"django_smsww/{name}.txt")).segments == 1


# The guide


@pytest.mark.parametrize("name", ["models", "adapter"])
def test_the_project_of_the_guide_is_the_one_of_these_tests(name):
    [shown] = [
        block
        for block in guides.blocks_of("verification.md")
        if block.startswith(f"# people/{name}.py\n")
    ]
    source = (Path(__file__).parent / "people" / f"{name}.py").read_text("utf-8")
    assert shown.partition("\n")[2] == source.replace("tests.ecosystem.people", "people")


def test_the_settings_of_the_guide_are_those_of_these_tests(settings):
    names = {"INSTALLED_APPS": [], "MIDDLEWARE": []}
    shown = guides.run_file("verification.md", "mysite/accounts.py", **names)
    for name in [each for each in shown if each.isupper()]:
        value, used = shown[name], getattr(settings, name)
        if name in names:
            assert {each.replace("people", "tests.ecosystem.people") for each in value} <= {*used}
        elif name == "ACCOUNT_ADAPTER":
            assert used == f"tests.ecosystem.{value}"
        else:
            assert used == value


def test_a_project_has_limits_and_a_text_of_its_own(settings, own_template, monkeypatch):
    for name in ("people", "people.adapter"):
        monkeypatch.setitem(sys.modules, name, import_module(f"tests.ecosystem.{name}"))
    adapter = guides.run_file("verification.md", "people/shop.py")["ShopAdapter"]()
    (Path(settings.TEMPLATES[0]["DIRS"][0]) / "sms").mkdir()
    own_template("sms/code.txt", "Acme: {{ token }} for {{ user }}")
    settings.SMSWW = {"codes": settings.SMSWW["default"]}
    adapter.send_verification_code_sms(user=None, phone=NUMBER, code="AB-12", reauthentication=True)
    assert assert_sms_sent()[0].body == "Acme: AB-12 for None"


# Headless


def test_a_client_without_pages_gets_the_error_as_json(phone, client):
    page = "/_allauth/browser/v1/auth/code/request"
    statuses = [client.post(page, {"phone": NUMBER}, "application/json") for _ in range(2)]
    assert [each.status_code for each in statuses] == [401, 400]  # 401: the code is missing
    [error] = statuses[1].json()["errors"]
    assert error["code"] == "cooldown"
    assert re.fullmatch(LIMITED, error["message"])
