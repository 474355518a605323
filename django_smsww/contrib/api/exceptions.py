"""The answers to a request that has no row to show.

# Note [Statuses that are not repeated]
Clients and proxies repeat a request by themselves after 500, 502 and 504, and some do so without
its key. So a request that may have sent something is never answered with one of them.
"""

from __future__ import annotations

import math
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, Throttled, ValidationError

from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited

SECONDS = 60
"""After an error of the account, one message a minute tries for all."""


class KeyUsed(APIException):
    status_code = 422
    default_code = "key_used"
    default_detail = _("This Idempotency-Key was used for another request. Send one of its own.")


class Conflict(APIException):
    """The message is in a state that does not allow it."""

    status_code = 409
    default_code = "conflict"


class NotSent(APIException):
    """Nothing was sent, and the same key tries again."""

    status_code = 503
    default_code = "not_sent"
    default_detail = _("Nothing was sent. Repeat the request with the same Idempotency-Key.")

    def __init__(self, error: SMSError | None = None) -> None:
        # The summary of the class: a text of the gateway may name an amount.
        detail = gettext(error.summary) if error else None
        super().__init__(detail, error.code if error else None)
        self.wait = _seconds(error)


class Limited(Throttled):
    """A limit of the project held the message back (429).

    A request with the same key tries again.
    """

    def __init__(self, error: SMSError) -> None:
        # Not the detail of its base, which speaks of a limit of requests.
        APIException.__init__(self, error.explain(), error.code)
        self.wait = _seconds(error)


def no_answer(error: SMSError) -> Limited | NotSent:
    """Return the answer to a request that ended with this error, and has no row to show."""
    return Limited(error) if isinstance(error, SMSLimited) else NotSent(error)


def _seconds(error: SMSError | None) -> int:
    wait = error.retry_after if error else None
    return SECONDS if wait is None else max(1, math.ceil(wait))


def as_field_errors(error: InvalidSMS, fields: Any) -> ValidationError:
    """Return the error of the field that the text of an InvalidSMS begins with."""
    name = str(error.args[0]).partition(" ")[0]
    field = name if name in fields else "non_field_errors"
    return ValidationError({field: [error.explain()]}, code=error.code)
