"""The form of a new message, and its checks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import InvalidSMS, InvalidSMSBackend
from ...sending.files import Cell, find_recipients, has_delimiter, has_digit
from ...sending.spreadsheets import (
    Line,
    UnknownEncodingError,
    UnusableFileError,
    read_lines,
    read_text,
)
from ...sms import SMS
from ..formatting import alias_choices
from .draft import MOST_NUMBERS, Draft

MOST_BYTES = 1024 * 1024
FEWEST_ROWS, MOST_ROWS = 3, 15


class ComposeForm(forms.Form):
    """One text and its recipients."""

    recipients = forms.CharField(
        label=_("Recipients"),
        required=False,
        strip=False,  # or the numbers of the lines would not be those of the page
        widget=forms.Textarea({"dir": "ltr", "autocomplete": "off"}),
        help_text=_("One in a line, with the plus sign and the country code: +39 333 123 4567."),
    )
    file = forms.FileField(
        label=_("Or a file of numbers"),
        required=False,
        help_text=_(
            "One number in a line, or a CSV or XLSX file with the numbers in its first column, or "
            "in the column “recipient”."
        ),
    )
    body = forms.CharField(
        label=_("Text"),
        strip=False,
        widget=forms.Textarea({"rows": 6, "dir": "auto", "data-smsww-count": "smsww-counter"}),
    )
    alias = forms.ChoiceField(label=_("Alias"), choices=alias_choices)
    sender = forms.CharField(
        label=_("Sender"),
        required=False,
        max_length=11,
        help_text=_("3 to 11 letters, digits and spaces; empty for the usual one."),
    )
    tag = forms.CharField(label=_("Tag"), required=False, max_length=64)
    send_at = forms.DateTimeField(
        label=_("Send later"),
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        help_text=_("Empty: now."),
    )
    sensitive = forms.BooleanField(
        label=_("Sensitive: delete the text after sending"), required=False
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    encoding = ""
    """The encoding of an uploaded file if it had to be guessed."""

    def __init__(self, *args: Any, many: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.many = many
        self.problems: list[tuple[int, str]] = []
        lines = self.data.get("recipients", "").count("\n") + 1
        self.fields["recipients"].widget.attrs["rows"] = min(max(FEWEST_ROWS, lines), MOST_ROWS)
        if not many:
            del self.fields["file"]
            self.fields["recipients"].label = _("Recipient")

    def clean_recipients(self) -> list[Cell]:
        return _cells(read_text(StringIO(self.cleaned_data["recipients"])), is_typed=True)

    def clean_file(self) -> list[Cell]:
        file = self.cleaned_data.get("file")
        if not file:
            return []
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_("The file is larger than one megabyte."))
        content = file.read()
        try:
            return _cells(read_lines(BytesIO(content)))
        except UnknownEncodingError:
            # Digits are the same in all encodings of Windows, and nothing else is taken from here.
            self.encoding = "ISO-8859-1"
            return _cells(read_lines(BytesIO(content), self.encoding))

    def clean(self) -> dict[str, Any]:
        """Check every line, and put the result into `draft` and `problems`."""
        data = super().clean() or {}
        if self.errors:
            return data
        cells = data["recipients"] or data.get("file", [])
        if data["recipients"] and data.get("file"):
            raise forms.ValidationError(_("Write numbers or choose a file, not both."))
        if len(cells) > (MOST_NUMBERS if self.many else 1):
            text = _("At most %d numbers at once.") if self.many else _("One number only.")
            raise forms.ValidationError(text % MOST_NUMBERS if self.many else text)
        draft = _draft(data, cells)
        self.problems = draft.problems
        if not cells:
            raise forms.ValidationError(_("Write at least one number."))
        if not draft.numbers:
            raise forms.ValidationError(_("No line has a number to which a message can be sent."))
        return data | {"draft": draft}

    @property
    def typed(self) -> str:
        """The recipients as they were typed, wrong ones among them; a file as if it was typed."""
        return _as_lines(self.cleaned_data.get("file")) or self.data["recipients"]


def _cells(lines: Iterator[Line], **options: bool) -> list[Cell]:
    """Return the recipients; one above the limit shows that there are too many."""
    try:
        return list(islice(find_recipients(lines, **options), MOST_NUMBERS + 1))
    except UnknownEncodingError:
        raise
    except UnusableFileError as error:
        raise forms.ValidationError(error.explain()) from None


def _as_lines(cells: list[Cell] | None) -> str:
    """Return the recipients of a file in lines that `clean_recipients()` reads alike."""
    values = [cell.value for cell in cells or ()]
    # A first line without a digit would be read as a name of columns, and a delimiter part a value.
    if values and (not has_digit(values[0]) or any(map(has_delimiter, values))):
        values.insert(0, "recipient")
    lines = StringIO()
    csv.writer(lines, lineterminator="\n").writerows([value] for value in values)
    return lines.getvalue()


def _draft(data: dict[str, Any], cells: list[Cell]) -> Draft:
    try:
        return Draft.of(sms_backends[data["alias"]], _sms(data), cells)
    except InvalidSMSBackend:
        text = gettext("The alias cannot be used as it is configured now.")
    except InvalidSMS as error:
        text = error.explain()
    raise forms.ValidationError(text)


def _sms(data: dict[str, Any]) -> SMS:
    return SMS(
        # Browsers write a line break in two characters, and a phone in one.
        data["body"].replace("\r\n", "\n"),
        "",
        data["sender"].strip(),
        tag=data["tag"],
        sensitive=data["sensitive"],
        send_at=data["send_at"],
    )
