"""The five endpoints of the SMS service."""

from decimal import Decimal

from .behaviours import REDIRECTED, TEST_NUMBERS, behaviour_of
from .clock import now
from .context import Context
from .countries import price_of_segment
from .http import Refusal, Request, Response, gateway_error, json_response, platform_error
from .messages import Document, new_document, show
from .validation import NewMessage, read_message
from .wallet import to_micro

_PAGE = 100
_SMALL_PAGE = 50
_FIXED_PRICE = ("IT", "ES")
_DEPOSIT = Decimal(1)  # EUR a segment: the credit that a worldwide message needs, and the fine
_FORBIDDEN = "The sent message does not comply with the legal requirements."


class SMSEndpoints:
    """The endpoints for messages. A message that arrives twice is accepted twice."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def send(self, request: Request, route: str) -> Response:
        """Answer POST /WW-messages, /IT-messages or /ES-messages: accept or refuse a message."""
        seq = self._context.request_log.record(request)
        try:
            return self._send(request, route, seq)
        except Refusal as refusal:
            self._context.request_log.record_outcome(seq, "refused", refusal.response)
            return refusal.response

    def list(self, request: Request) -> Response:
        profiles = self._context.profiles
        self._context.authenticator.check_bearer(request)
        largest = _SMALL_PAGE if "pages-of-50" in profiles else _PAGE
        messages = self._context.ledger.page(
            request.number("skip", 0),
            request.number("limit", _PAGE, maximum=largest),
            oldest_first="oldest-first" in profiles,
            before=now() - profiles.seconds("list-late"),
        )
        if not messages and "empty-list-404" in profiles:
            raise platform_error(404, "No messages found")
        shown = [show(message.document, profiles) for message in messages]
        return self._armed_answer(request, self._success(shown))

    def get(self, request: Request, message_id: str) -> Response:
        """Answer GET /messages/{id}. For an unknown id, the answer is 404 without a body."""
        self._context.authenticator.check_bearer(request)
        message = self._context.ledger.get(message_id)
        if message is None:
            return Response(404)
        return self._armed_answer(request, self._show(message.document, 200))

    def _send(self, request: Request, route: str, seq: int) -> Response:
        self._context.authenticator.check_bearer(request)
        if self._context.wallet.is_blocklisted:
            text = "The user is blocklisted. Please contact support for assistance."
            raise gateway_error(403, 2020, text)
        message = read_message(request.json(), route)
        ending = self._ending(request, message)
        behaviour = behaviour_of(ending)
        if not behaviour.accepts:
            raise Refusal(behaviour.answer(request, Response()))
        _check_content(self._context, message)
        return self._accept(request, message, ending, seq)

    def _accept(self, request: Request, message: NewMessage, ending: str, seq: int) -> Response:
        behaviour, lifecycle = behaviour_of(ending), self._context.lifecycle
        with self._context.store.transaction():
            document = _record(self._context, message, ending)
            response = behaviour.answer(request, self._show(document, 201))
            outcome = "validated" if message.dry_run else "accepted"
            self._context.request_log.record_outcome(seq, outcome, response)
        lifecycle.expect(lifecycle.next_due())
        if behaviour.rushed:
            lifecycle.rush(document["id"])
        return response

    def _ending(self, request: Request, message: NewMessage) -> str:
        """Return the ending that a test has set with `arm`, or the recipient's last three digits.

        If this ending is not in `TEST_NUMBERS`, return "". After a redirect, always return "". A
        message with the ending "" is delivered.
        """
        if REDIRECTED in request.query:
            return ""
        ending = self._context.next_behaviour("POST") or message.recipient[-3:]
        return ending if ending in TEST_NUMBERS else ""

    def _armed_answer(self, request: Request, true: Response) -> Response:
        return behaviour_of(self._context.next_behaviour("GET")).answer(request, true)

    def _show(self, document: Document, status: int) -> Response:
        return self._success(show(document, self._context.profiles), status)

    def _success(self, payload: object, status: int = 200) -> Response:
        is_bare = "bare" in self._context.profiles
        return json_response(payload if is_bare else {"data": payload}, status)


def _check_content(context: Context, message: NewMessage) -> None:
    """Refuse forbidden content. Except in a dry run, charge a fine and blocklist the account."""
    if not message.is_forbidden:
        return
    if not message.dry_run:
        context.wallet.charge(_fine(message))
        context.wallet.set("blocklisted", 1)
    is_fixed_and_real = message.route in _FIXED_PRICE and not message.dry_run
    raise gateway_error(422, 2050 if is_fixed_and_real else 2044, _FORBIDDEN)


def _check_credit(context: Context, message: NewMessage) -> None:
    needed, credit = _fine(message), context.wallet.credit
    if credit < needed:
        text = f"Insufficient Credit in Wallet: {needed:f} > {credit:f}"
        raise platform_error(402, text, float(credit))


def _record(context: Context, message: NewMessage, ending: str) -> Document:
    """Record a message, and charge its price or its fine. For a dry run, do neither."""
    behaviour, price = behaviour_of(ending), _fixed_price(message)
    if message.dry_run:
        return new_document(message, price, context.profiles)
    _check_credit(context, message)
    document = new_document(message, price, context.profiles, blocklisted=behaviour.blocklisted)
    due = None if behaviour.rushed else context.lifecycle.next_due()
    context.ledger.accept(document, message.route, ending, due)
    charge = _fine(message) if behaviour.blocklisted else price * message.size.segments
    if charge:
        context.wallet.charge(charge)
        context.ledger.add_charge(document["id"], to_micro(charge))
    return document


def _fixed_price(message: NewMessage) -> Decimal:
    """Return the price of a segment in EUR; 0 for a worldwide message, which is charged later."""
    if message.route not in _FIXED_PRICE:
        return Decimal(0)
    return price_of_segment(message.route, message.country)


def _fine(message: NewMessage) -> Decimal:
    """Return the fine for forbidden content.

    The gateway accepts a message only if the credit covers this fine.
    """
    return (_fixed_price(message) or _DEPOSIT) * message.size.segments
