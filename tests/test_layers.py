"""The rooms and floors of the package, read from the source."""

import ast
import os
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from importlib import import_module

import pytest

import django_smsww

from .support.source import (
    ALL_FILES,
    CORE,
    PACKAGE,
    ROOT,
    file_of,
    imports_of,
    nodes_of,
    offenders,
    part_of,
)

# A floor imports from the floors below it. Rooms of one floor may import each other in one
# direction: a room from those that stand before it in its line. No room imports one above it,
# not even for types or inside a function, but for what EXCEPTIONS names.
FLOORS = """
    states exceptions signals segments test_runs clock
    sms numbers
    gateway models environ
    backends callbacks
    worker reconcile operations checks testing urls
    sending
    admin management apps
"""
ROOMS = FLOORS.split()
EXCEPTIONS = {
    # An error names its row; for a type checker alone.
    ("exceptions", "models"),
}

# A reader who searches for a name should find one thing. These stand twice or more, with a reason.
DOUBLED_MODULES = {
    "account": "the account host, and what the status says of the account",
    "apps": "Django's word, one in each app",
    "base": "what the other modules of its room are built on",
    "batch": "a model and its admin",
    "callback": "a model and its admin",
    "checks": "Django's word, one in each app that has some",
    "clock": "ours, and the simulator's, which tests move",
    "console": "a backend's public name, and what commands share",
    "exceptions": "Python's word, and REST framework's",
    "http": "what is sent to the gateway, and what the simulator makes of it",
    "message": "a model and its admin",
    "models": "Django's word, one in each app of contrib that has some",
    "preflight": "the worker's dry runs, and the rows of their verdicts",
    "records": "what the rows say, and the simulator's",
    "segments": "public, and the simulator's second opinion",
    "serializers": "REST framework's word, one in each place that has some",
    "suppression": "a model and its admin",
    "suspension": "a model and its admin",
    "tasks": "Celery's word and Django's, one in each task queue",
    "totals": "the rows of daily sums, and how they are summed",
    "urls": "Django's word",
    "validation": "our rules for a message, and the gateway's",
    "views": "Django's word, one in each room that has some",
}
DOUBLED_CLASSES = {
    "Command": "Django's word, one in each command",
    "Meta": "Django's word, one in each model",
    "SMSBackend": "settings name a backend by its module",
}

# Packages that only these modules may import, so that a project pays for what it uses.
KEEPERS = {
    "phonenumbers": {"numbers"},
    "openpyxl": {"sending"},
    "requests": {"gateway"},
    "urllib3": {"gateway"},
    "rest_framework": {"callbacks", "urls", "testing"},
}


def ours(path):
    """Return the parts of our package that a file imports; "__init__" stands for the facade."""
    targets = imports_of(path) - {f"{PACKAGE}.__version__"}
    return {part_of(each) for target in targets if (each := file_of(target))}


def test_each_room_has_a_floor_and_each_floor_its_rooms():
    assert {part_of(path) for path in CORE} == set(ROOMS)


def arrows(path):
    """Return the arrows from the room of a file to rooms above it."""
    room = part_of(path)
    above = ROOMS[ROOMS.index(room) + 1 :]
    return {(room, name) for name in ours(path) if name in above}


def test_imports_point_down():
    assert offenders(lambda path: arrows(path) - EXCEPTIONS) == {}


def test_each_exception_is_needed():
    assert set().union(*map(arrows, CORE)) >= EXCEPTIONS


def node_of(path):
    """Return the file; the rows and their querysets name each other, so that models/ is one."""
    return "models" if part_of(path) == "models" else str(path.relative_to(ROOT))


def test_no_files_import_each_other_in_a_circle():
    graph = {}
    for path in ALL_FILES:
        targets = {file_of(target) for target in imports_of(path)} - {None}
        allowed = {each for each in targets if (part_of(path), part_of(each)) in EXCEPTIONS}
        graph.setdefault(node_of(path), set()).update(map(node_of, targets - allowed))
    graph["models"].remove("models")
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def twice(names):
    return {name for name, count in Counter(names).items() if count > 1}


def test_no_two_modules_have_one_name_without_a_reason():
    names = (path.stem for path in ALL_FILES if path.stem != "__init__")
    assert twice(names) == DOUBLED_MODULES.keys()


def test_no_two_classes_have_one_name_without_a_reason():
    names = (node.name for path in ALL_FILES for node in nodes_of(path, ast.ClassDef))
    assert twice(names) == DOUBLED_CLASSES.keys()


def test_nobody_inside_imports_the_facade():
    assert offenders(lambda path: "__init__" in ours(path)) == {}


@pytest.mark.parametrize("package", KEEPERS)
def test_heavy_packages_stay_with_their_keepers(package):
    others = [path for path in CORE if part_of(path) not in KEEPERS[package]]
    imported = {path: {target.partition(".")[0] for target in imports_of(path)} for path in others}
    assert offenders(lambda path: package in imported[path], others) == {}


def misuse_of_settings(path):
    """Return the settings that a file reads, but for the one that a foreign key needs."""
    if not any(target.startswith("django.conf.") for target in imports_of(path)):
        return None
    nodes = nodes_of(path, ast.Attribute)
    used = {node.attr for node in nodes if getattr(node.value, "id", "") == "settings"}
    return None if (part_of(path), used) == ("models", {"AUTH_USER_MODEL"}) else f"{used} read"


def test_only_the_handler_reads_settings():
    assert offenders(misuse_of_settings).keys() == {"backends/handler.py"}


def run_python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": str(ROOT.parent), "PATH": os.environ.get("PATH", ""), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_import_without_settings_loads_nothing_heavy():
    loaded = run_python("import sys, django_smsww; print(*sys.modules)")
    assert PACKAGE in loaded
    heavy = {"rest_framework", "requests", "phonenumbers", "django.db.models"}
    assert (heavy | {"django_smsww.models"}) & loaded == set()


def test_app_loads_no_heavy_package():
    """What a process pays that never calls the gateway: the callback door's URLs are not here."""
    code = "import sys, django; django.setup(); print(*sys.modules)"
    loaded = run_python(
        "from django.conf import settings;"
        "settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes',"
        "'django_smsww'], USE_TZ=True);" + code
    )
    assert "django_smsww.models" in loaded
    assert {"rest_framework", "requests", "phonenumbers"} & loaded == set()


def test_every_name_of_the_facade_can_be_imported():
    package = import_module(PACKAGE)
    assert [name for name in package.__all__ if getattr(package, name) is None] == []
    assert set(package.__all__) <= set(dir(package))


def test_facade_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'send_fax'"):
        _ = django_smsww.send_fax
