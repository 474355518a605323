"""The files of the package, and what is read from their syntax trees."""

import ast
from functools import cache
from pathlib import Path

import django_smsww

ROOT = Path(django_smsww.__file__).parent
PACKAGE = "django_smsww"
ALL_FILES = sorted(path for path in ROOT.rglob("*.py") if "migrations" not in path.parts)


def part_of(path):
    """Return the module or the package directly below ours in which a file stands."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


CORE = [path for path in ALL_FILES if part_of(path) not in ("contrib", "__init__")]
"""The files without optional apps and without the facade, which loads names when first used."""


@cache
def tree_of(path):
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes_of(path, kind):
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, kind)]


@cache
def imports_of(path):
    """Return the dotted path of each import of a file, relative ones made absolute.

    Imports inside functions and those for type checkers alone are among them.
    """
    found = {name.name for node in nodes_of(path, ast.Import) for name in node.names}
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in nodes_of(path, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        found.update(f"{module}.{name.name}" for name in node.names)
    return found


@cache
def file_of(target):
    """Return the file of our package that a dotted path leads to, or None."""
    package, *names = target.split(".")
    if package != PACKAGE:
        return None
    for place in (ROOT.joinpath(*names), ROOT.joinpath(*names[:-1])):
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path in ALL_FILES:
                return path
    return None


def offenders(rule, files=CORE):
    """Return the names of the files for which a rule finds something, with that."""
    found = {str(path.relative_to(ROOT)): rule(path) for path in files}
    return {name: what for name, what in found.items() if what}
