"""The admin in every language: a text that nobody could translate is found on the page."""

import re
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import override

from django_smsww import State
from django_smsww.contrib.simulator import views
from django_smsww.models import Suppression

from ..support.catalogues import LANGUAGES, Words
from ..support.pages import one_of_each
from ..support.people import EVERYTHING, LIST, admin_url, browser_of, page, staff, text_of
from ..support.sampling import slow_unless

COMPOSE = admin_url("message_compose")
# What is no language: names that programs gave. The last three are Django's own, in its templates.
NAMES = {"default", "local", "admin", "Search", "True", "False"}


def untranslated(html):
    """Return the words of a page that no translation was asked for."""
    words = Words()
    words.feed(html)
    text = "\n".join(words.texts)
    while "‹" in text and text != (fewer := re.sub("‹[^‹›]*›", " ", text)):
        text = fewer
    text = re.sub(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|U\+\w+ [a-z -]+", " ", text)
    return {word for word in re.findall(r"\w*[a-z]\w*", text) if word not in NAMES}


@pytest.fixture
def marked(monkeypatch):
    """Have every translation marked, as if there were a language in which all words are so."""

    def plural(one, many, number):
        return f"‹{one if number == 1 else many}›"

    fakes = {
        "gettext": lambda text: f"‹{text}›",
        "pgettext": lambda _context, text: f"‹{text}›",
        "ngettext": plural,
        "npgettext": lambda _context, *parts: plural(*parts),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(translation._trans, name, fake)


@pytest.fixture
def browser(db):
    permissions = ("view_suppression", "add_suppression", "delete_suppression")
    return browser_of(staff(*EVERYTHING, *permissions, name="ANN"))


def test_every_word_of_every_page_can_be_translated(browser, pages, marked):
    left = {address: untranslated(text_of(browser.get(address))) for address in pages}
    assert {address: words for address, words in left.items() if words} == {}


PHONES = reverse("smsww_phones")
NUMBER = {
    "id": 1,
    "recipient": "+39333",
    "sender": "S",
    "body": "“X”",
    "encoding": "UCS-2",
    "characters": 3,
    "segments": 1,
    "over": False,
    "has_callback": True,
    "callbacks": [
        {"state": "NEW", "lost": True, "over": True, "status": None},
        {"state": "NEW", "lost": False, "over": True, "status": 200},
        {"state": "NEW", "lost": False, "over": True, "status": 500},
        {"state": "NEW", "lost": False, "over": False, "status": None},
    ],
}


@pytest.mark.parametrize("messages", [[], [NUMBER | {"state": "NEW"}]])
@pytest.mark.parametrize("held", [False, True])
def test_every_word_of_the_telephones_can_be_translated(
    browser, pages, marked, monkeypatch, messages, held
):
    found = {"messages": messages, "held": held}
    monkeypatch.setattr(views, "simulator_url", lambda: "http://127.0.0.1:9")
    monkeypatch.setattr(views, "ask", lambda *asked: found)
    assert untranslated(text_of(browser.get(PHONES))) == set()
    assert untranslated(text_of(browser.get(f"{PHONES}?live"))) == set()


def test_every_word_about_no_simulator_can_be_translated(browser, pages, marked, monkeypatch):
    assert untranslated(text_of(browser.get(PHONES))) == set()
    monkeypatch.setattr(views, "simulator_url", lambda: "http://127.0.0.1:9")
    assert untranslated(text_of(browser.get(PHONES))) == set()


ACTIONS = ("resend", "refresh", "cancel", "settle", "export")
ANSWERS = [
    *((LIST, {"action": f"{action}_selected"}) for action in ACTIONS),
    (COMPOSE, {"recipients": "12\n+390\n+39X\nX", "body": "X", "sender": "1"}),
    (COMPOSE, {"recipients": "12", "body": " "}),
    (COMPOSE, {"recipients": "+393331234567\n+393331234567\n12", "body": "“X”", "_check": "1"}),
    (COMPOSE, {"recipients": "+393331234567", "body": "“X”", "_try": "1"}),
    (COMPOSE, {"recipients": "+393331234567", "body": "X", "_send": "1"}),
    (COMPOSE, {}),
]


@pytest.mark.parametrize(("address", "answer"), ANSWERS)
def test_every_word_of_every_answer_can_be_translated(browser, rows, marked, address, answer):
    Suppression.objects.create(recipient="+393331234568")
    typed = {"alias": "default", "token": uuid4(), "_selected_action": [row.pk for row in rows]}
    response = browser.post(address, typed | answer, follow=True)
    assert response.status_code == 200
    assert untranslated(text_of(response)) == set()


@pytest.mark.parametrize("language", slow_unless("it".__eq__, LANGUAGES))
def test_every_page_is_shown_in_every_language(browser, pages, language):
    with override(language):
        for address in one_of_each(pages):
            response = browser.get(address)
            assert response.status_code == 200, address
            assert f'<html lang="{language}" dir="ltr"' in text_of(response)
        assert str(State.UNKNOWN.label) in text_of(browser.get(LIST))


def test_the_pages_run_from_right_to_left_where_the_language_does(browser, pages):
    with override("ar"):
        for address in one_of_each(pages):
            assert 'dir="rtl"' in text_of(browser.get(address)), address


def test_numbers_and_money_are_written_as_the_language_does(browser, rows):
    with override("de"):
        assert "0,21 EUR" in text_of(browser.get(page(rows[0])))


def test_separators_of_thousands_are_for_people_alone(browser, pages, make_message, settings):
    """In what a browser or this site reads again, a number is plain."""
    settings.USE_THOUSAND_SEPARATOR = True
    row = make_message(pk=1_234_567, state=State.FAILED, segments=12_345, characters=3)
    resend = admin_url("message_resend", row.pk)
    selected = {"action": "resend_selected", "_selected_action": row.pk}
    with override("de"):
        addresses = (*one_of_each(pages), LIST, page(row), resend)
        texts = [text_of(browser.get(address)) for address in addresses]
        texts.append(text_of(browser.post(LIST, selected)))
    assert any("12.345" in text for text in texts)
    for text in texts:
        assert "1.234.567" not in text
        for drawn in re.findall(r'\b(?:x|y|x1|x2|y1|y2|d|width|height|max|value)="([^"]*)"', text):
            assert not re.search(r"\d,\d", drawn), drawn
