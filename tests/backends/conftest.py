"""Messages to hand over, and tables of refusals."""

from django_smsww import SMS

from ..conftest import NUMBER


def messages(*bodies):
    return [SMS(body, NUMBER) for body in bodies]


def cases(table):
    """Return each value of a table of texts and values, with its text."""
    return [(value, text) for text, values in table.items() for value in values]
