"""The documentation is one site, and it is whole."""

import re

import django_smsww
from django_smsww import State
from django_smsww.models.lease import SECONDS

from ..support import guides

PAGES = {path.stem for path in guides.DOCS.glob("*.md")} - {"index"}


def test_every_page_is_in_the_contents():
    contents = re.findall(r"^```{toctree}\n(.*?)^```$", guides.text_of("index.md"), re.S | re.M)
    listed = [line for block in contents for line in block.splitlines() if re.match(r"\w", line)]
    assert sorted(listed) == sorted(PAGES)


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\(docs/(\w+)\.md", guides.text_of("../README.md")))
    assert linked == PAGES - {"changelog", "contributing", "security"}


def test_every_public_name_is_in_the_python_api():
    described = re.findall(r"^\.\. auto\w+:: (\w+)$", guides.text_of("python.md"), re.MULTILINE)
    assert set(described) >= set(django_smsww.__all__)


def test_every_picture_is_shown_and_1280_wide():
    documents = [*guides.DOCS.glob("*.md"), guides.DOCS.parent / "README.md"]
    texts = [path.read_text("utf-8") for path in documents]
    for picture in guides.DOCS.glob("*.png"):
        assert any(f"{picture.name})" in text for text in texts), picture.name
        # A PNG names its width in the bytes 16 to 19.
        assert int.from_bytes(picture.read_bytes()[16:20]) == 1280, picture.name


OTHER_WORDS = r"\b(blacklist\w*|bulk|caps?|doors?|mailings?|opt-out|webhooks?|delivery reports?)\b"


def test_the_documents_use_the_words_of_the_glossary():
    explain_other_words = {"changelog", "choosing", "glossary"}
    texts = {page: guides.text_of(f"{page}.md") for page in PAGES - explain_other_words}
    texts |= {name: guides.text_of(f"../{name}.md") for name in ("README", "CONTRIBUTING")}
    found = {name: re.findall(OTHER_WORDS, text, re.I) for name, text in texts.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_explanation_draws_every_state_and_the_length_of_a_lease():
    text = guides.text_of("explanation.md")
    assert {state for state in State if state not in text} == set()
    whole, half = (f"{seconds // 60}:{seconds % 60:02}" for seconds in (SECONDS, SECONDS // 2))
    assert re.search(rf"time ----> .* {half} .* {whole}$", text, re.MULTILINE)
