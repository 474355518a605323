"""The models alone write `state`: read from the source."""

import ast

import pytest

from .support.source import CORE, offenders, part_of, tree_of

WRITING_CALLS = {
    *("Message", "create", "acreate", "update", "aupdate", "bulk_update", "abulk_update"),
    *("get_or_create", "aget_or_create", "update_or_create", "aupdate_or_create"),
}


def state_writes(tree):
    """Return the lines that assign a state: to an attribute, or in a call that writes rows."""
    return [node.lineno for node in ast.walk(tree) if assigns_state(node) or call_writes(node)]


def assigns_state(node):
    is_written = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    return is_written and node.attr == "state"


def call_writes(node):
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in ("setattr", "__setattr__"):
        return any(map(is_state, node.args))
    inside = (inner for value in [*node.args, *node.keywords] for inner in ast.walk(value))
    return name in WRITING_CALLS and any(map(mentions_state, inside))


def is_state(node):
    return isinstance(node, ast.Constant) and node.value == "state"


def mentions_state(node):
    """Tell whether this is {"state": …}, dict(state=…), or a list of fields with it."""
    if isinstance(node, ast.Dict):
        return any(key is not None and is_state(key) for key in node.keys)
    if isinstance(node, ast.List | ast.Tuple):
        return any(is_state(element) for element in node.elts)
    return isinstance(node, ast.keyword) and node.arg == "state"


def test_only_the_models_write_the_state():
    others = [path for path in CORE if part_of(path) != "models"]
    assert offenders(lambda path: state_writes(tree_of(path)), others) == {}


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
    assert state_writes(ast.parse(source)) == [1]


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
    assert state_writes(ast.parse(source)) == []
