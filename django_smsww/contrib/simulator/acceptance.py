"""Decide about a well-formed message: its content, its price, the credit for it."""

from __future__ import annotations

from decimal import Decimal

from .behaviours import DELIVERED, TEST_NUMBERS
from .countries import price_of_segment
from .http import gateway_error, platform_error
from .messages import Document, new_document
from .validation import Draft
from .wallet import to_micro
from .world import World

_FIXED_PRICE = ("IT", "ES")
_DEPOSIT = Decimal(1)  # EUR a segment: the credit that a worldwide send needs, and the fine
_FORBIDDEN = "The sent message does not comply with the legal requirements."


def check_account(world: World) -> None:
    """Refuse everything once the account is blocklisted."""
    if world.wallet.is_blocklisted:
        raise gateway_error(
            403, 2020, "The user is blocklisted. Please contact support for assistance."
        )


def check_content(world: World, draft: Draft) -> None:
    """Refuse forbidden words; unless it was a dry run, fine and blocklist the account."""
    if not draft.is_forbidden:
        return
    if not draft.dry_run:
        world.wallet.charge(_fine(draft))
        world.wallet.set("blocklisted", 1)
    is_fixed_and_real = draft.route in _FIXED_PRICE and not draft.dry_run
    raise gateway_error(422, 2050 if is_fixed_and_real else 2044, _FORBIDDEN)


def check_credit(world: World, draft: Draft) -> None:
    """Refuse with 402 what the wallet cannot pay."""
    needed = draft.size.segments * (_fixed_price(draft) or _DEPOSIT)
    credit = world.wallet.credit
    if credit < needed:
        message = f"Insufficient Credit in Wallet: {needed:f} > {credit:f}"
        raise platform_error(402, message, float(credit))


def price_document(draft: Draft, *, blocklisted: bool = False) -> Document:
    """Make the message object with the price that is known at once, 0 for worldwide."""
    return new_document(draft, _fixed_price(draft), blocklisted=blocklisted)


def accept(world: World, draft: Draft, ending: str) -> Document:
    """Record the message in the ledger and take a fixed price at once."""
    behaviour = TEST_NUMBERS.get(ending, DELIVERED)
    document = price_document(draft, blocklisted=behaviour.blocklisted)
    due = None if behaviour.rushed else world.lifecycle.next_due()
    world.ledger.accept(document, draft.route, ending, due)
    if behaviour.blocklisted:
        world.wallet.charge(_fine(draft))
        world.ledger.add_charge(document["id"], to_micro(_fine(draft)))
    elif price := _fixed_price(draft):
        total = price * draft.size.segments
        world.wallet.charge(total)
        world.ledger.add_charge(document["id"], to_micro(total))
    return document


def _fixed_price(draft: Draft) -> Decimal:
    if draft.route not in _FIXED_PRICE:
        return Decimal(0)
    return price_of_segment(draft.route, draft.country)


def _fine(draft: Draft) -> Decimal:
    return (_fixed_price(draft) or _DEPOSIT) * draft.size.segments
