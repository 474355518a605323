from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

FORGOTTEN = "…"
"""This text replaces the deleted digits of a number. Its prefix stays, if it is known: "+39…"."""


class Origin(TextChoices):
    """Who sent a message: this project, or another program with the same account.

    Rows of other programs are only a record: this project never sends or settles them.
    """

    HERE = "here", _("This project")
    ELSEWHERE = "elsewhere", _("Elsewhere")
