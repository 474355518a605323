"""Send one-time codes to telephone numbers, and check the codes that visitors enter."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import router
from django.utils.crypto import get_random_string, salted_hmac
from django.utils.translation import gettext_lazy as _

from django_smsww.backends.handler import sms_backends
from django_smsww.clock import database_now
from django_smsww.contrib.code_limits import send_code
from django_smsww.exceptions import SMSError, SMSOutcomeUnknown
from django_smsww.sending.rendering import render_sms

from .models import (
    CODE_EXPIRED,
    TOO_MANY_ATTEMPTS,
    WRONG_CODE,
    Verification,
    VerificationQuerySet,
)
from .settings import VerificationOptions

TAG = "verification"


class VerificationFailed(ValidationError):
    """Error for a refused code. `code` is "wrong_code", "code_expired" or "too_many_attempts"."""

    def __init__(self, code: str) -> None:
        super().__init__(_TEXTS[code], code)


_TEXTS = {
    WRONG_CODE: _("This is not the code that was sent."),
    # Also if no code was sent, so that nobody learns who is about to verify a number.
    CODE_EXPIRED: _("The code is not valid any more. Ask for another one."),
    TOO_MANY_ATTEMPTS: _("Too many wrong codes were entered. Ask for another one."),
}


def start_verification(number: Any, *, key: str = "", created_by: Any = None) -> Verification:
    """Send a code to a number. Earlier codes for this number become invalid.

    Args:
        number: the telephone number, in any form that `send_sms` accepts.
        key: an idempotency key, as for `send_sms`. The same key and number give the same code.
        created_by: the user on whose behalf the message is sent.

    Raises:
        SMSOutcomeUnknown: the code may have been sent. The code is valid.
        SMSError: any other SMSError means that the code was not sent.
        RuntimeError: the call is inside a database transaction. See Note [Attempts are never given
            back] in `verification.models`.
    """
    options = VerificationOptions.read()
    backend = sms_backends[options.using]
    number = backend.read_recipient(number)
    fixed = options.test_numbers.get(number)
    code = fixed or _new_code(options.length, key, number)
    verification = _unsaved(number, code, options)
    store = partial(_store, verification, code, options)
    if fixed:
        with options.guards.count(number, created_by, backend=backend, tag=TAG):
            store()
        return verification
    try:
        send_code(
            store,
            number,
            using=options.using,
            guards=options.guards,
            tag=TAG,
            expires_at=verification.expires_at,
            user=created_by,
            key=key,
        )
    except SMSError as error:
        if verification.pk and not isinstance(error, SMSOutcomeUnknown):
            _rows().filter(pk=verification.pk, code=verification.code).delete()
        raise
    return verification


def check_verification(number: Any, code: str) -> str:
    """Check the code that was sent to a number, and return the number in E.164.

    A correct code works only once. Each call uses one attempt.

    Raises:
        VerificationFailed: the code is wrong or expired, or no attempts are left.
        RuntimeError: the call is inside a database transaction. See Note [Attempts are never given
            back] in `verification.models`.
    """
    backend, rows = sms_backends[VerificationOptions.read().using], _rows()
    number = backend.read_recipient(number)
    digest = _digest("code", number, "".join(str(code).split()))
    refusal = rows.attempt(_digest("number", number), digest, database_now(rows.db))
    if refusal:
        raise VerificationFailed(refusal)
    return number


def _rows() -> VerificationQuerySet:
    return Verification.objects.using(router.db_for_write(Verification))


def _unsaved(number: str, code: str, options: VerificationOptions) -> Verification:
    return Verification(
        key=_digest("number", number),
        code=_digest("code", number, code),
        attempts_left=options.attempts,
        expires_at=database_now(_rows().db) + timedelta(seconds=options.validity),
    )


def _store(verification: Verification, code: str, options: VerificationOptions) -> str:
    """Store the code as the only valid code of its number. Return the text of the message."""
    context = {"token": code, "minutes": options.validity // 60}
    text = render_sms(options.template_name, context)
    rows = _rows()
    rows.put(verification, database_now(rows.db))
    return text


def _new_code(length: int, key: str, number: str) -> str:
    if not key:
        return get_random_string(length, "0123456789")
    return str(int(_digest("key", key, number), 16) % 10**length).zfill(length)


def _digest(purpose: str, *values: Any) -> str:
    salt = f"django_smsww.contrib.verification.{purpose}"
    value = ":".join(map(str, values)).encode("ascii", "backslashreplace")
    return salted_hmac(salt, value, algorithm="sha256").hexdigest()
