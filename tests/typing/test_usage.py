"""What type checkers are shown is all that is public."""

import ast
from pathlib import Path

import django_smsww

USAGE = Path(__file__).parent / "usage.py"


def test_the_checkers_see_every_public_name_in_use():
    tree = ast.parse(USAGE.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    [public] = [node for node in imports if node.module == "django_smsww"]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {name.name for name in public.names} & used == {*django_smsww.__all__}
