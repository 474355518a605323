"""The translations as they are installed, and what tests of them share."""

import gettext
import re
from html.parser import HTMLParser
from pathlib import Path

import django

import django_smsww

SPOKEN = ("aria-label", "alt", "title", "placeholder", "data-size", "data-culprits")
LANGUAGES = ("de", "es", "fr", "it")
FOLDER = Path(django_smsww.__file__).parent / "locale"
DJANGO = Path(django.__file__).parent

_placeholders = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}").findall


def read(path):
    """Return the messages of a compiled file; a plural form has the key (message, number)."""
    with path.open("rb") as file:
        catalogue = dict(gettext.GNUTranslations(file)._catalog)
    catalogue.pop("")  # the header
    return catalogue


def ours(language):
    return read(FOLDER / language / "LC_MESSAGES" / "django.mo")


def of_django(language):
    """Return what Django itself, its admin and its other apps say in a language."""
    paths = DJANGO.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")
    return [read(path) for path in paths]


def placeholders(text):
    return sorted(_placeholders(text))


class Words(HTMLParser):
    """Gathers what people read of a page, or hear of it."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.inside = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.texts += [values[name] or "" for name in SPOKEN if name in values]
        if tag == "input" and values.get("type") in ("submit", "button", "reset"):
            self.texts.append(values.get("value") or "")
        if tag in ("script", "style", "pre"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, text):
        if not self.inside:
            self.texts.append(text)
