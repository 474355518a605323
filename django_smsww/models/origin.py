"""Who sent a message: this project, or another sender of the same account."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

FORGOTTEN = "…"
"""Replaces the digits of a number that is not stored, after its international prefix."""


class Origin(TextChoices):
    """Who sent a message. Rows from elsewhere are a mere record: nothing sends or settles them."""

    HERE = "here", _("This project")
    ELSEWHERE = "elsewhere", _("Elsewhere")
