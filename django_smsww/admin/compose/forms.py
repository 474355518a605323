"""The form of a new message, and its checks."""

import csv
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

from django import forms
from django.utils import timezone
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
    recipients = forms.CharField(
        label=_("Recipients"),
        required=False,
        strip=False,  # so that errors name the line numbers that the user sees
        widget=forms.Textarea({"dir": "ltr", "autocomplete": "off"}),
        help_text=_(
            "One number per line, with the plus sign and the country code: +39 333 123 4567."
        ),
    )
    file = forms.FileField(
        label=_("Or a file of numbers"),
        required=False,
        help_text=_(
            "A text file with one number per line, or a CSV or XLSX file with the numbers in the "
            "column “recipient” or, without such a column, in the first one."
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
        help_text=_("3 to 11 letters, digits and spaces. Leave it empty for the usual sender."),
    )
    tag = forms.CharField(label=_("Tag"), required=False, max_length=64)
    send_at = forms.DateTimeField(
        label=_("Send later"),
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )
    sensitive = forms.BooleanField(
        label=_("Sensitive: delete the text after sending"), required=False
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    encoding = ""
    """The assumed encoding of an uploaded file; "" if no assumption was necessary."""

    def __init__(self, *args: Any, many: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.many = many
        self.problems: list[tuple[int, str]] = []
        lines = self.data.get("recipients", "").count("\n") + 1
        zone = timezone.get_current_timezone_name()
        self.fields["send_at"].help_text = _("In the time zone %s. Empty: now.") % zone
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
            # Only digits are read from the file, and they are the same in all encodings of Windows.
            self.encoding = "ISO-8859-1"
            return _cells(read_lines(BytesIO(content), self.encoding))

    def clean(self) -> dict[str, Any]:
        """Check the recipients, add a `Draft` to the cleaned data, and set `problems`."""
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
        """The recipients as typed, or the lines of the uploaded file, including invalid lines."""
        return _as_lines(self.cleaned_data.get("file")) or self.data["recipients"]


def _cells(lines: Iterator[Line], **options: bool) -> list[Cell]:
    """Read recipients, up to one more than `MOST_NUMBERS`, so that `clean()` sees an excess."""
    try:
        return list(islice(find_recipients(lines, **options), MOST_NUMBERS + 1))
    except UnknownEncodingError:
        raise
    except UnusableFileError as error:
        raise forms.ValidationError(error.explain()) from None


def _as_lines(cells: list[Cell] | None) -> str:
    """Convert the cells of a file to a text for the field "recipients".

    From this text, `clean_recipients()` reads the same cells again.
    """
    values = [cell.value for cell in cells or ()]
    # A first line without a digit would be read as a header, and a delimiter would split a value.
    if values and (not has_digit(values[0]) or any(map(has_delimiter, values))):
        values.insert(0, "recipient")
    lines = StringIO()
    csv.writer(lines, lineterminator="\n").writerows([value] for value in values)
    return lines.getvalue()


def _draft(data: dict[str, Any], cells: list[Cell]) -> Draft:
    sms = SMS(
        # Browsers write a line break in two characters, and a phone in one.
        data["body"].replace("\r\n", "\n"),
        "",
        data["sender"].strip(),
        tag=data["tag"],
        sensitive=data["sensitive"],
        send_at=data["send_at"],
    )
    try:
        return Draft.of(sms_backends[data["alias"]], sms, cells)
    except InvalidSMSBackend:
        text = gettext("The alias cannot be used as it is configured now.")
    except InvalidSMS as error:
        text = error.explain()
    raise forms.ValidationError(text)
