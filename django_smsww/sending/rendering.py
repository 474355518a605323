"""Write the text of a message with a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from django.template import Context, loader
from django.template.backends.django import Template
from django.utils import translation

from ..segments import count_segments

# The white space of a template's layout. Spaces of another width were put there on purpose.
_SPACES = re.compile(r"[ \t\f\v]+")
_LINES = re.compile(r"\r\n|\r|\n")
# Django's filters and number formats write them (timesince, filesizeformat, French numbers).
_UNBROKEN = str.maketrans("\u00a0\u202f", "  ")


def render_sms(
    template_name: str, context: Mapping[str, Any] | None = None, *, language: str | None = None
) -> str:
    """Return the text that a template makes of a context, for `send_sms` to send.

    Nothing is escaped, as there is no HTML in a message. (Other engines than Django's escape as
    they are configured.) Each line stays a line, without the spaces at its ends; several spaces
    become one, and empty lines go. Spaces that do not break become plain where that saves a
    segment.

    Args:
        language: the recipient's; None for the one that is active.

    Raises:
        TemplateDoesNotExist: there is no such template.
    """
    # override(None) would translate nothing at all.
    with translation.override(language) if language else nullcontext():
        text = fold(_render(loader.get_template(template_name), dict(context or {})))
    plain = text.translate(_UNBROKEN)
    saves = count_segments(plain).segments < count_segments(text).segments
    return plain if saves else text


def fold(text: str) -> str:
    """Return the text without the white space that only lays out a template."""
    lines = (_SPACES.sub(" ", line).strip(" ") for line in _LINES.split(text))
    return "\n".join(line for line in lines if line)


def _render(template: Any, context: dict[str, Any]) -> str:
    if isinstance(template, Template):
        return template.template.render(Context(context, autoescape=False))
    return str(template.render(context))
