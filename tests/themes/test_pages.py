"""Every page of the admin answers under another theme."""

from html.parser import HTMLParser

import pytest

from ..support.people import LIST, listed, selection, text_of


class Forms(HTMLParser):
    """Counts the forms in forms: a browser drops the inner one, and ends the outer one early."""

    depth, nested = 0, 0

    def handle_starttag(self, tag, attributes):
        if tag == "form":
            self.nested += self.depth
            self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= tag == "form"


def forms_in_forms(response):
    forms = Forms()
    forms.feed(text_of(response))
    return forms.nested


def test_every_page_answers(browser, pages):
    for address in pages:
        response = browser.get(address)
        assert response.status_code == 200, address
        assert forms_in_forms(response) == 0, address


@pytest.mark.parametrize("action", ["resend", "refresh", "cancel", "settle", "export"])
def test_every_action_asks(browser, rows, action):
    asked = browser.post(LIST, selection(*rows, action=f"{action}_selected"))
    assert asked.status_code == 200


def test_a_typed_filter_narrows_the_list_down(browser, rows):
    for query, found in (("tag=TAG&country=it", 12), ("tag=", 12), ("tag=TA&country=it", 0)):
        assert len(listed(browser.get(f"{LIST}?{query}"))) == found
