"""Every word that people see is translated: into four languages here, into any by others."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from django.template.base import Lexer, TokenType
from django.utils.translation import override

from django_smsww import State
from django_smsww.segments import count_segments
from django_smsww.sending.rendering import render_sms

from .support.catalogues import FOLDER, LANGUAGES, Words, of_django, ours, placeholders, read


def test_all_languages_have_the_same_messages():
    first, *others = (ours(language).keys() for language in LANGUAGES)
    assert len(first) > 400
    assert [keys ^ first for keys in others] == [set()] * 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_message(language):
    for key, text in ours(language).items():
        message = key[0] if isinstance(key, tuple) else key
        assert text.strip(), key
        assert placeholders(text) == placeholders(message), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_django_says_too_is_said_as_django_says_it(language):
    """Catalogues are merged: another word for "Yes" would stand in the whole project."""
    words = ours(language)
    for theirs in of_django(language):
        shared = words.keys() & theirs.keys()
        assert {key: words[key] for key in shared} == {key: theirs[key] for key in shared}


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_a_code_costs_one_segment_in_every_language(language):
    with override(language):
        text = render_sms("django_smsww/code.txt", {"token": "12345678", "minutes": 10})
    count = count_segments(text)
    assert "12345678" in text
    assert (count.encoding, count.segments) == ("GSM-7", 1), text


def test_a_language_without_a_catalogue_reads_english():
    with override("pt"):
        assert State.DELIVERED.label == "Delivered"


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package, for tools that write."""
    copy = tmp_path / FOLDER.parent.name
    shutil.copytree(FOLDER.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(*command, folder):
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.gettext
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_is_made_of_the_other(language, tmp_path):
    path = FOLDER / language / "LC_MESSAGES" / "django.po"
    compiled = tmp_path / "django.mo"
    run("msgfmt", "--check", f"--output-file={compiled}", str(path), folder=tmp_path)
    assert read(compiled) == ours(language)


@pytest.mark.gettext
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_the_package_is_translated(language, package):
    """Extract the messages again; what is new is empty or fuzzy then, and what is old goes."""
    # -P: the package's own `numbers` must not stand for Python's, where it is the current folder.
    makemessages = ("-P", "-m", "django", "makemessages")
    command = (sys.executable, *makemessages, "--no-wrap", "--no-obsolete")
    run(*command, f"--locale={language}", folder=package)
    folder = package / "locale" / language / "LC_MESSAGES"
    said = run("msgfmt", "--statistics", "--output-file=fresh.mo", "django.po", folder=folder)
    assert "untranslated" not in said, said
    assert "fuzzy" not in said, said
    assert read(folder / "fresh.mo").keys() == ours(language).keys()


def templates():
    return sorted((FOLDER.parent / "templates").rglob("*.html"))


def bare_words(source):
    """Return what a template says outside its tags of translation."""
    text, is_translated = "", False
    for token in Lexer(source).tokenize():
        name = token.contents.split(" ")[0]
        if name in ("blocktranslate", "endblocktranslate"):
            is_translated = name == "blocktranslate"
        elif token.token_type == TokenType.TEXT and not is_translated:
            text += token.contents
        else:
            text += " "
    said = Words()
    said.feed(text)
    return {word for part in said.texts for word in re.findall("[A-Za-z]{2,}", part)}


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_no_template_has_words_of_its_own(path):
    assert bare_words(path.read_text()) == set()


def test_words_of_a_templates_own_would_be_found():
    assert bare_words('<p title="Ah">{% translate "No" %} {{ n }} Oh</p>') == {"Ah", "Oh"}
