"""The files around the package agree with each other."""

import ast
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import django_smsww

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NOXFILE = (ROOT / "noxfile.py").read_text("utf-8")

in_the_repository = pytest.mark.skipif(
    not WORKFLOWS.exists(), reason="the source distribution has no workflows"
)


def matrix():
    """Return the versions of Django by the version of Python."""
    [cells] = re.findall(r"^DJANGO = (\{.*?^\})$", NOXFILE, re.M | re.S)
    return ast.literal_eval(cells)


@pytest.mark.parametrize(
    ("classifier", "versions"),
    [
        ("Programming Language :: Python", set(matrix())),
        ("Framework :: Django", set(chain(*matrix().values()))),
    ],
)
def test_every_classifier_is_tried(classifier, versions):
    found = (re.fullmatch(rf"{classifier} :: (\d+\.\d+)", each) for each in classifiers())
    assert {each[1] for each in found if each} == versions


def classifiers():
    return PROJECT["project"]["classifiers"]


@in_the_repository
def test_the_workflows_call_every_session():
    text = "\n".join(path.read_text("utf-8") for path in WORKFLOWS.glob("*.yml"))
    calls = " ".join(re.findall(r"nox -s .*|session: \[.*", text))
    # nox need not be installed here.
    sessions = re.findall(r"^@nox\.session.*?^def (\w+)", NOXFILE, re.M | re.S)
    assert "lint" in sessions
    assert [each for each in sessions if not re.search(rf"\b{each}\b", calls)] == []


@in_the_repository
def test_what_lands_is_tried_on_cells_of_the_matrix():
    cells = re.findall(r"'(3\.\d+) (\d\.\d)'", (ROOT / ".ci" / "run").read_text("utf-8"))
    assert cells
    assert all(django in matrix()[python] for python, django in cells)


@pytest.mark.parametrize("marker", ["postgresql", "broker", "browser", "wheel"])
def test_what_needs_a_server_or_a_program_has_a_session(marker):
    assert re.search(rf'"[^"\n]*\b{marker}\b[^"\n]*"', NOXFILE)


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## (\S+)", text, re.M)[1] == django_smsww.__version__


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "README.md"])
def test_every_link_to_a_file_finds_it(name):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text("utf-8"))
    assert links or name == "SECURITY.md"
    assert [link for link in links if not (ROOT / link).exists()] == []


EXTRAS = PROJECT["project"]["optional-dependencies"]


def brought(extra):
    """Return the packages of an extra, those of our other extras included."""
    for requirement in EXTRAS[extra]:
        name, others = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", requirement).groups()
        if name == "django-smsww":
            yield from chain(*map(brought, others.split(",")))
        else:
            yield name


def test_the_guide_says_what_each_extra_brings():
    text = (ROOT / "docs" / "install.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \|", text, re.M))
    assert told == {
        extra: ", ".join(sorted(brought(extra), key=told.get(extra, "").find))
        for extra in EXTRAS.keys() - {"test", "dev"}
    }


def test_every_line_that_installs_names_extras_that_there_are():
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.rglob("django_smsww/**/*.py")]
    text = "\n".join(path.read_text("utf-8") for path in files)
    named = re.findall(r"(?:pip install|-e) '[^'\[\n]*\[([\w,-]+)\]'", text)
    assert {"numbers", "xlsx", "demo"} <= set(named)
    assert set(",".join(named).split(",")) <= EXTRAS.keys()
