"""What the built wheel holds. Runs where the package is installed from one, as in .ci/run."""

from importlib.metadata import distribution
from pathlib import Path

import pytest
from django.template.loader import get_template

import django_smsww

pytestmark = pytest.mark.wheel

PACKAGE = Path(django_smsww.__file__).parent


def files_of_the_wheel():
    return {str(path) for path in distribution("django-smsww").files}


def test_the_package_under_test_is_the_installed_one():
    assert PACKAGE.parent.name == "site-packages"
    assert not Path("django_smsww").exists()


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "migrations/0001_initial.py",
        "contrib/simulator/apps.py",
        "testing/plugin.py",
        "locale/it/LC_MESSAGES/django.mo",
        "locale/it/LC_MESSAGES/django.po",
    ],
)
def test_the_wheel_holds(name):
    assert f"django_smsww/{name}" in files_of_the_wheel()


def test_the_wheel_holds_nothing_beside_the_package():
    names = {path.split("/")[0] for path in files_of_the_wheel()}
    beside = {name for name in names if not name.endswith(".dist-info") and ".." not in name}
    assert beside == {"django_smsww"}


def test_templates_and_static_files_are_found():
    templates = [path for path in files_of_the_wheel() if "/templates/" in path]
    assert templates
    for path in templates:
        get_template(path.partition("/templates/")[2])
    assert any("/static/" in path for path in files_of_the_wheel())
