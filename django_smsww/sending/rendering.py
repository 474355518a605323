"""Render the text of a message from a template."""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from django.template import Context, loader
from django.template.backends.django import Template
from django.utils import translation

from ..segments import count_segments

# The white space of a template's layout. Spaces of other widths are there on purpose.
_SPACES = re.compile(r"[ \t\f\v]+")
_LINES = re.compile(r"\r\n|\r|\n")
# The non-breaking spaces of Django's filters and formats (timesince, filesizeformat, numbers).
_UNBROKEN = str.maketrans("\u00a0\u202f", "  ")


def render_sms(
    template_name: str, context: Mapping[str, Any] | None = None, *, language: str | None = None
) -> str:
    """Render a template, and return the text for `send_sms`.

    Django's template engine escapes nothing here, because a message is not HTML. Other engines
    escape according to their settings. Empty lines and superfluous spaces are removed. Non-breaking
    spaces become plain spaces if the text then has fewer segments.

    Args:
        language: the recipient's language. None means the active language.

    Raises:
        TemplateDoesNotExist: there is no such template.
    """
    # override(None) would turn translation off.
    with translation.override(language) if language else nullcontext():
        text = fold(_render(loader.get_template(template_name), dict(context or {})))
    plain = text.translate(_UNBROKEN)
    saves = count_segments(plain).segments < count_segments(text).segments
    return plain if saves else text


def fold(text: str) -> str:
    """Remove empty lines and superfluous spaces, which come from the layout of a template."""
    lines = (_SPACES.sub(" ", line).strip(" ") for line in _LINES.split(text))
    return "\n".join(line for line in lines if line)


def _render(template: Any, context: dict[str, Any]) -> str:
    if isinstance(template, Template):
        return template.template.render(Context(context, autoescape=False))
    return str(template.render(context))
