"""Authenticate a callback by our stamp: the reference of the message, with our signature.

The gateway signs nothing. We send it a stamp with each message, and a callback must return this
stamp in a header or in the payload. Only the stamp decides to which message a callback belongs.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http.request import HttpHeaders
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, UnsupportedMediaType
from rest_framework.request import Request

from ..gateway.payload import read_custom, read_message
from ..gateway.signature import HEADER, Stamp, read_custom_stamp, read_header_stamp
from ..sms import RESERVED_CUSTOM_KEY, SendResult
from .parsers import Unreadable
from .signed import SignedCallback, clean

_META_KEY = HttpHeaders.to_wsgi_name(HEADER)  # `request.headers` would convert all headers

Name = tuple[UUID, str]
"""The reference and the environment of a message, which together identify its row."""


class NotAuthentic(AuthenticationFailed):
    default_detail = "It bears no signature of ours."
    default_code = "not_authentic"


class CallbackAuthentication(BaseAuthentication):
    """Authenticate a callback: `request.auth` is a SignedCallback, and the user is anonymous."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, SignedCallback]:
        """Check the signature and read the callback, without a database query.

        If the header has a valid signature but the body is unreadable, set `SignedCallback.fault`.

        Raises:
            NotAuthentic: there is no signature, or at least one signature is wrong.
            APIException: the body cannot be read, and there is no signature in the header.
        """
        header = request.META.get(_META_KEY, "")
        stamp = read_header_stamp(header) if header else None
        by_header = _authentic(stamp) if header else None
        try:
            payload = _parse(request)
        except APIException as error:
            if by_header is None:
                raise
            return AnonymousUser(), _unread(by_header, type(error))
        return AnonymousUser(), _read(payload, by_header, stamp)

    def authenticate_header(self, request: Request) -> str:
        return f'{HEADER} realm="SMS callbacks"'


def _parse(request: Any) -> dict[str, Any]:
    """Return the whole payload. It is not stored on the request: error reports would show it."""
    parser = request.negotiator.select_parser(request, request.parsers)
    if parser is None:
        raise UnsupportedMediaType(request.content_type)
    return parser.parse(request.stream, request.content_type, request.parser_context)


def _unread(name: Name, fault: type[APIException]) -> SignedCallback:
    return SignedCallback(*name, True, SendResult(), {"fault": fault.default_code}, fault)


def _read(payload: dict[str, Any], by_header: Name | None, stamp: Stamp | None) -> SignedCallback:
    by_custom = _named_by_custom(payload, stamp)
    name = by_header or by_custom
    if name is None:
        raise NotAuthentic
    result, agrees = read_message(payload), by_custom in (None, name)
    fault = None if result.state else Unreadable
    return SignedCallback(*name, agrees, result, clean(payload), fault)


def _named_by_custom(payload: Mapping[str, Any], authentic: Stamp | None) -> Name | None:
    custom = read_custom(payload)
    if custom.get(RESERVED_CUSTOM_KEY) is None:
        return None
    stamp = read_custom_stamp(custom)
    if stamp is not None and stamp == authentic:  # equal to the verified one
        return stamp.reference, stamp.environment
    return _authentic(stamp)


def _authentic(stamp: Stamp | None) -> Name:
    if stamp is None or not stamp.is_authentic:
        raise NotAuthentic
    return stamp.reference, stamp.environment
