"""Write the text of a message with a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from django.template import Context, loader
from django.template.backends.django import Template
from django.utils import translation

# The white space of a template's layout. What does not break or is of another width was put there
# on purpose; `replace_characters` knows when to write it plainly.
_SPACES = re.compile(r"[ \t\f\v]+")
_LINES = re.compile(r"\r\n|\r|\n")


def render_sms(
    template_name: str, context: Mapping[str, Any] | None = None, *, language: str | None = None
) -> str:
    """Return the text that a template makes of a context, for `send_sms` to send.

    Nothing is escaped, as there is no HTML in a message. (Another engine than Django's does as it
    is configured.) Each line stays a line, without the spaces at its ends; several spaces become
    one, and empty lines go.

    Args:
        language: the recipient's; None for the one that is active.

    Raises:
        TemplateDoesNotExist: there is no such template.
    """
    # override(None) would translate nothing at all.
    with translation.override(language) if language else nullcontext():
        return fold(_render(loader.get_template(template_name), dict(context or {})))


def fold(text: str) -> str:
    """Return the text without the white space that only lays out a template."""
    lines = (_SPACES.sub(" ", line).strip(" ") for line in _LINES.split(text))
    return "\n".join(line for line in lines if line)


def _render(template: Any, context: dict[str, Any]) -> str:
    if isinstance(template, Template):
        return template.template.render(Context(context, autoescape=False))
    return str(template.render(context))
