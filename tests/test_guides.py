"""The documents in docs/ do what they say."""

from __future__ import annotations

import re
from datetime import date

from . import guides, sample_project


def test_the_tests_in_the_guide_to_testing_pass(tmp_path):
    sample_project.make(tmp_path, "\n\n".join(guides.blocks_of("testing.md")))
    assert "4 passed" in sample_project.pytest(tmp_path)


def test_the_texts_in_the_guide_to_content_are_as_it_says(db, smsoutbox, settings, tmp_path):
    [template] = guides.blocks_of("content.md", "django")
    (tmp_path / "sms").mkdir()
    (tmp_path / "sms" / "reminder.txt").write_text(template, encoding="utf-8")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    guides.run("content.md", day=date(2026, 3, 2))
    [sms] = smsoutbox
    lines = ["Dear Ada & Søren, we see you on Lunedì 2 Marzo.", "Reply STOP to end."]
    assert sms.body.splitlines() == lines


def test_the_guide_to_languages_explains_an_error_in_two(db):
    said = guides.run("languages.md")
    assert said["logged"].startswith("recipient must start with the plus sign")
    assert said["shown"].startswith("Il destinatario (recipient) deve iniziare con il segno più")


def test_what_the_guides_link_to_is_there():
    for path in guides.DOCS.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text("utf-8")):
            assert (guides.DOCS / target).exists(), (path.name, target)
