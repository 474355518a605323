"""Texts from templates, and the plain punctuation of real texts."""

import unicodedata
from datetime import date

import pytest
from django.template import TemplateDoesNotExist
from django.utils import translation
from django.utils.translation import gettext_lazy

from django_smsww import render_sms, send_sms
from django_smsww.segments import GSM7, UCS2, count_segments, replace_characters


@pytest.fixture
def template(settings):
    """Return a function that makes a text the template "sms.txt"."""

    def make(text, **engine):
        loaders = [("django.template.loaders.locmem.Loader", {"sms.txt": text})]
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": loaders},
            }
        ]

    return make


def test_a_rendered_text_can_be_sent(template, db, smsoutbox):
    template("Dear {{ name }}, see you.\n")
    send_sms(render_sms("sms.txt", {"name": "Ada & Søren <3"}), "+393331234567")
    assert [sms.body for sms in smsoutbox] == ["Dear Ada & Søren <3, see you."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ a }}", "<b>'x' & \"y\""),
        ("\n  Hello,\t  {{ missing }}world \r\n\r\n\r\n  Bye \n", "Hello, world\nBye"),
        ("Hello\n{% if a %}\n  yes\n{% endif %}\nBye", "Hello\nyes\nBye"),
        ("one\rtwo", "one\ntwo"),
        ("5\u00a0€ –\u202f10\u2003%", "5\u00a0€ –\u202f10\u2003%"),
        ("{# nothing #}\n", ""),
        (
            "{% autoescape on %}{{ a }}{% endautoescape %}",
            "&lt;b&gt;&#x27;x&#x27; &amp; &quot;y&quot;",
        ),
    ],
)
def test_white_space_is_folded_and_nothing_is_escaped(template, text, expected):
    template(text)
    rendered = render_sms("sms.txt", {"a": "<b>'x' & \"y\""})
    assert (rendered, type(rendered)) == (expected, str)


@pytest.mark.parametrize(
    ("padding", "kept"), [("x" * 70, False), ("x" * 40, True), ("ç" + "x" * 70, True)]
)
def test_spaces_that_do_not_break_become_plain_where_that_saves_a_segment(template, padding, kept):
    """Django's filters and web forms bring them, as they bring CRLF."""
    template("{{ size|filesizeformat }}, {{ note }} {{ padding }}")
    context = {"size": 2048, "note": "1\u202f000\r\nand more", "padding": padding}
    wide, narrow = ("\u00a0", "\u202f") if kept else ("  ")
    expected = f"2.0{wide}KB, 1{narrow}000\nand more {padding}"
    assert render_sms("sms.txt", context) == expected


def test_the_language_is_that_of_the_recipient(template):
    template("{% load i18n %}{% translate 'Monday' %}, {{ day|date:'j F' }}, {{ word }}")
    context = {"day": date(2026, 3, 1), "word": gettext_lazy("Tuesday")}
    with translation.override("de"):
        assert render_sms("sms.txt", context, language="it") == "Lunedì, 1 Marzo, Martedì"
        assert render_sms("sms.txt", context) == "Montag, 1 März, Dienstag"
        assert translation.get_language() == "de"


def test_a_template_that_is_missing_is_an_error():
    with pytest.raises(TemplateDoesNotExist):
        render_sms("nowhere.txt")


def test_another_engine_renders_as_it_is_configured(settings, tmp_path):
    (tmp_path / "sms.txt").write_text("Hello,  $name\n")
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.dummy.TemplateStrings", "DIRS": [tmp_path]}
    ]
    assert render_sms("sms.txt", {"name": "Ada"}) == "Hello, Ada"


# As they come out of word processors and translators' files.
REAL_TEXTS = {
    "Italian": (
        "Gentile cliente, l’appuntamento di lunedì 3 è confermato alle 9:30 – si presenti "
        "con un’ora d’anticipo. Perché non l’ha più? Chiami “Città Salute”… Costo: 25\u00a0€",
        "Gentile cliente, l'appuntamento di lunedì 3 è confermato alle 9:30 - si presenti "
        "con un'ora d'anticipo. Perché non l'ha più? Chiami \"Città Salute\"... Costo: 25 €",
    ),
    "German": (
        "Ihr Paket „Größe M“ wird heute zwischen 10\u202f–\u202f12 Uhr geliefert. Grüße aus "
        "Köln – Ihr Team. Rück\u00adfragen: ‚Straße 5‘",
        'Ihr Paket "Größe M" wird heute zwischen 10 - 12 Uhr geliefert. Grüße aus '
        "Köln - Ihr Team. Rückfragen: 'Straße 5'",
    ),
    "French": (
        "Votre commande n°\u00a012 est prête\u202f: à retirer aujourd’hui avant 19\u00a0h "
        "— merci\u00a0!",
        None,  # ê and ° are not in the alphabet
    ),
    "French that fits": (
        "Le café «\u00a0Chez René\u00a0» ouvre à 8\u00a0h\u202f; l’entrée est à 5\u00a0€…",
        'Le café " Chez René " ouvre à 8 h ; l\'entrée est à 5 €...',
    ),
    "Spanish": (
        "¡Mañana a las 10:00! ¿Puede venir el señor Núñez? “Sí”",
        None,  # ú and í are not in the alphabet
    ),
    "Spanish that fits": (
        "¿Mañana a las 10:00? El “Año Nuevo” – ¡no se lo pierda!…",
        '¿Mañana a las 10:00? El "Año Nuevo" - ¡no se lo pierda!...',
    ),
    "English": (
        "We’ve moved your 3–5\u00a0pm slot to Monday—reply “YES” to keep it… "
        "Total: £12\u00a0• Ref −4′",
        "We've moved your 3-5 pm slot to Monday - reply \"YES\" to keep it... Total: £12 * Ref -4'",
    ),
    "Polish": ("Państwa wizyta – „jutro” o 9:00. Prosimy nie się spóźnić…", None),
}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Your code—do not share it", "Your code - do not share it"),
        ("“Sì”—disse", '"Sì" - disse'),
        ("Room 12—ask for Ada", "Room 12 - ask for Ada"),
        ("parole\u200b—\u200bparole", "parole - parole"),
        ("9—11 Uhr", "9-11 Uhr"),
        ("Mailand–Rom", "Mailand-Rom"),
        ("—Hola —dijo—.", "-Hola -dijo-."),
        ("Yes — no", "Yes - no"),
        ("wait——what", "wait--what"),
        ("Ada—", "Ada-"),
    ],
)
def test_a_dash_that_parts_words_never_joins_them(text, plain):
    assert replace_characters(text) == plain


def words(text):
    """Return the words and numbers of a text, each character as a person reads it."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text if c != "\u00ad")
    return kept.split()


@pytest.mark.parametrize("language", REAL_TEXTS)
def test_a_real_text_keeps_its_words_and_its_sense(language):
    text, plain = REAL_TEXTS[language]
    replaced = replace_characters(text)
    assert replaced == (plain or text)
    assert words(replaced) == words(text)
    assert count_segments(replaced).encoding == (GSM7 if plain else UCS2)
    assert count_segments(replaced).segments <= count_segments(text).segments


@pytest.mark.parametrize("language", REAL_TEXTS)
def test_a_word_in_another_alphabet_leaves_the_text_as_it_was_written(language):
    text = f"{REAL_TEXTS[language][0]} Добрый день"
    assert replace_characters(text) == text
