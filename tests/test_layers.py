"""The rooms and floors of the package, and the one writer of `state`, read from the source."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import django_smsww

ROOT = Path(django_smsww.__file__).parent
PACKAGE = "django_smsww"

# A floor imports from the floors below it. Rooms of one floor may import each other in one
# direction: a room from those that stand before it in its line. No room imports one above it,
# not even for types or inside a function, but for what EXCEPTIONS names.
FLOORS = """
    states exceptions signals segments secret clock
    sms environ
    gateway models
    backends callbacks daily
    worker reconcile operations checks testing urls
    sending
    admin management
    apps
"""
ROOMS = FLOORS.split()
EXCEPTIONS = {
    # An error names its row; for a type checker alone.
    ("exceptions", "models"),
}
EXEMPT = {"contrib", "migrations"}

# Packages that only these modules may import, so that a project pays for what it uses.
KEEPERS = {
    "requests": {"gateway"},
    "urllib3": {"gateway"},
    "rest_framework": {"callbacks", "urls", "testing"},
}
WRITERS = {"models", "testing"}
WRITING_CALLS = {
    "Message",
    "create",
    "acreate",
    "update",
    "aupdate",
    "get_or_create",
    "aget_or_create",
    "update_or_create",
    "aupdate_or_create",
    "bulk_update",
    "abulk_update",
}


def part_of(path):
    """Return the module or the package directly below ours in which a file stands."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if part_of(path) not in EXEMPT and path != ROOT / "__init__.py"
)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def imports_of(path):
    """Yield the dotted path of everything that a file imports, relative ones made absolute."""
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{name.name}" for name in node.names)


def ours(path):
    """Yield the parts of our package that a file imports; "" stands for the facade."""
    for target in imports_of(path):
        head, _, rest = target.partition(".")
        name = rest.partition(".")[0]
        if head == PACKAGE and name != "__version__":
            is_part = (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()
            yield name if name and is_part else ""


@pytest.mark.parametrize("name", sorted({part_of(path) for path in FILES}))
def test_every_room_has_a_floor(name):
    assert name in ROOMS, f"Say in tests/test_layers.py on which floor {name!r} is."


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_of_the_table_exists(name):
    assert name in {part_of(path) for path in FILES}


def is_above(target, room):
    return ROOMS.index(target) > ROOMS.index(room)


@each_file
def test_imports_point_down(path):
    room = part_of(path)
    upwards = {(room, name) for name in ours(path) if name and is_above(name, room)}
    assert upwards <= EXCEPTIONS


@each_file
def test_nobody_inside_imports_the_facade(path):
    assert "" not in set(ours(path))


@each_file
@pytest.mark.parametrize("package", KEEPERS)
def test_heavy_packages_stay_with_their_keepers(path, package):
    imported = {target.partition(".")[0] for target in imports_of(path)}
    assert package not in imported or part_of(path) in KEEPERS[package]


@each_file
def test_only_the_handler_reads_settings(path):
    if path == ROOT / "backends/handler.py" or not any(
        target.startswith("django.conf.settings") or target == "django.conf"
        for target in imports_of(path)
    ):
        return
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "settings"
    }
    assert (part_of(path), used) == ("models", {"AUTH_USER_MODEL"})


def state_writes(source):
    """Return the lines that assign a state: to an attribute, or in a call that writes rows."""
    tree = ast.parse(source)
    return [node.lineno for node in ast.walk(tree) if assigns_state(node) or call_writes(node)]


def assigns_state(node):
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    written = (
        inner
        for target in targets
        if target is not None and isinstance(target, ast.AST)
        for inner in ast.walk(target)
    )
    return any(
        isinstance(inner, ast.Attribute)
        and inner.attr == "state"
        and isinstance(inner.ctx, ast.Store)
        for inner in written
    )


def call_writes(node):
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    if name in ("setattr", "__setattr__"):
        return any(is_state(value) for value in node.args)
    if name not in WRITING_CALLS:
        return False
    return any(keyword.arg == "state" for keyword in node.keywords) or any(
        mentions_state(inner) for value in values for inner in ast.walk(value)
    )


def is_state(node):
    return isinstance(node, ast.Constant) and node.value == "state"


def mentions_state(node):
    """Tell whether this is {"state": …}, dict(state=…), or a list of fields with it."""
    if isinstance(node, ast.Dict):
        return any(key is not None and is_state(key) for key in node.keys)
    if isinstance(node, ast.List | ast.Tuple):
        return any(is_state(element) for element in node.elts)
    return isinstance(node, ast.keyword) and node.arg == "state"


@each_file
def test_only_the_models_write_the_state(path):
    if part_of(path) not in WRITERS:
        assert state_writes(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "message.state = State.NEW",
        "message.state: str = State.NEW",
        "a, message.state = 1, 2",
        "self.message.state += 'X'",
        "for message.state in states: pass",
        "setattr(message, 'state', State.NEW)",
        "rows.update(state=State.NEW)",
        "rows.filter(pk=1).update(price=0, **{'state': 'NEW'})",
        "Message.objects.create(state='NEW')",
        "Message(body='x', state='NEW')",
        "models.Message(state='NEW')",
        "rows.update_or_create(pk=1, defaults={'state': 'NEW'})",
        "rows.update_or_create(pk=1, defaults=dict(state='NEW'))",
        "rows.bulk_update(messages, ['state'])",
    ],
)
def test_a_write_of_the_state_is_found(source):
    assert state_writes(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "rows.filter(state='NEW')",
        "SendResult(state='NEW')",
        "state = message.state",
        "if message.state == 'NEW': pass",
        "rows.filter(state=message.state).update(price=0)",
        "advance(rows, state='NEW')",
    ],
)
def test_a_use_of_the_state_is_no_write(source):
    assert state_writes(source) == []


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
    heavy = {"django_smsww.models", "rest_framework", "requests", "django.db.models"}
    assert heavy & loaded == set()


def test_app_loads_neither_rest_framework_nor_requests():
    """What a process pays that never calls the gateway: the callback door's URLs are not here."""
    code = "import sys, django; django.setup(); print(*sys.modules)"
    loaded = run_python(
        "from django.conf import settings;"
        "settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes',"
        "'django_smsww'], USE_TZ=True);" + code
    )
    assert "django_smsww.models" in loaded
    assert {"rest_framework", "requests"} & loaded == set()


@pytest.mark.parametrize("name", django_smsww.__all__)
def test_every_name_of_the_facade_can_be_imported(name):
    assert getattr(import_module(PACKAGE), name) is not None
    assert name in dir(django_smsww)


def test_facade_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'send_fax'"):
        _ = django_smsww.send_fax
