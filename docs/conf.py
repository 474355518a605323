"""The documentation site: `sphinx-build -W -n docs build/docs`."""

import sys
from pathlib import Path

import django
from django.conf import settings
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_smsww"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

import django_smsww  # noqa: E402  the settings come first

project = "django-smsww"
copyright = "the authors of django-smsww"  # noqa: A001  Sphinx's word
version = release = django_smsww.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"django-smsww {version}"

# Links to headings work here as they do where the repository is browsed.
myst_heading_anchors = 3
# Docstrings are plain text: a word in single backticks is code.
default_role = "code"
highlight_language = "text"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpick_ignore_regex = [
    ("py:(class|exc)", r"(collections|uuid|datetime)\..*|\w+(Error|DoesNotExist)")
]

# The documents at the top of the repository are pages of the site, too.
TOP = {
    "index": "README",
    "contributing": "CONTRIBUTING",
    "changelog": "CHANGELOG",
    "security": "SECURITY",
}


def setup(app: Sphinx) -> None:
    app.connect("source-read", read_page)


def read_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Put a document of the top in the place of its page, and lead links to it there."""
    text = source[0].replace("](../", "](")
    if page in TOP:
        top = (ROOT / f"{TOP[page]}.md").read_text("utf-8").replace("](docs/", "](")
        text = f"{top}\n{text[text.find('```{toctree}') :]}" if page == "index" else top
    for name, document in TOP.items():
        text = text.replace(f"]({document}.md", f"]({name}.md")
    source[0] = text
