"""The API's own error responses.

# Note [Statuses that the API avoids]
After the status 500, 502 or 504, some clients and proxies repeat a request automatically. If the
repeated request has a new Idempotency-Key, it sends a second message. So the API never answers with
one of these statuses if the request may have sent a message.
"""

import math
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, Throttled, ValidationError

from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited

SECONDS = 60
"""The Retry-After, in seconds, if the error does not say when to retry."""


class KeyUsed(APIException):
    status_code = 422
    default_code = "key_used"
    default_detail = _("This Idempotency-Key was used for another request. Send another value.")


class Conflict(APIException):
    """Error 409: the state of the message or of the batch does not allow the request."""

    status_code = 409
    default_code = "conflict"


class NotSent(APIException):
    """Error 503: nothing was sent. The client can retry with the same Idempotency-Key."""

    status_code = 503
    default_code = "not_sent"
    default_detail = _("Nothing was sent. Repeat the request with the same Idempotency-Key.")

    def __init__(self, error: SMSError | None = None) -> None:
        # Only the summary of the error's class: a text of the gateway may name an amount.
        detail = gettext(error.summary) if error else None
        super().__init__(detail, error.code if error else None)
        self.wait = _seconds(error)


class Limited(Throttled):
    """Error 429: a limit stopped the message. A client can retry with the same Idempotency-Key."""

    def __init__(self, error: SMSError) -> None:
        # The text of Throttled is about too many requests.
        APIException.__init__(self, error.explain(), error.code)
        self.wait = _seconds(error)


def no_answer(error: SMSError) -> Limited | NotSent:
    """Return the API exception for this error: `Limited` for an SMSLimited, otherwise `NotSent`."""
    return Limited(error) if isinstance(error, SMSLimited) else NotSent(error)


def _seconds(error: SMSError | None) -> int:
    wait = error.retry_after if error else None
    return SECONDS if wait is None else max(1, math.ceil(wait))


def as_field_errors(error: InvalidSMS, fields: Any) -> ValidationError:
    """Return a field error if the text begins with a field's name, otherwise a non-field error."""
    name = str(error.args[0]).partition(" ")[0]
    field = name if name in fields else "non_field_errors"
    return ValidationError({field: [error.explain()]}, code=error.code)
