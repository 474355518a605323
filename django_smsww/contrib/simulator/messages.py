"""Create, change and show the gateway's message object: the JSON object of one message.

The store contains the prices as decimal text. `show` converts the prices to JSON numbers.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .clock import iso, new_id, new_number, now
from .profiles import Profiles
from .validation import NewMessage

BLOCKLISTED_REASON = "The content does not comply with the legal requirements."

Document = dict[str, Any]

_SPELLINGS: dict[str, Callable[[str], str]] = {
    "recipient-without-plus": lambda number: number[1:],
    "recipient-with-00": lambda number: f"00{number[1:]}",
    "recipient-with-separators": lambda number: f"{number[:3]} (0) {number[3:6]}-{number[6:]}",
}


def new_document(
    message: NewMessage, price: Decimal, profiles: Profiles, *, blocklisted: bool = False
) -> Document:
    """Return the message object of a new message, in the state NEW."""
    created = iso(now())
    document: Document = {
        "id": new_number() if "numeric-ids" in profiles else new_id(),
        "username": "simulator@example.com",
        "state": "NEW",
        "sender": message.sender,
        "recipient": message.recipient,
        "internationalPrefix": message.prefix,
        "countryCode": message.country,
        "message": message.body,
        "encoding": message.size.encoding,
        "charactersCount": message.size.characters,
        "messageCount": message.size.segments,
        "blocklisted": blocklisted,
        "blocklistedReason": BLOCKLISTED_REASON if blocklisted else None,
        "options": {
            "dryRun": message.dry_run,
            "failOnMultipleMessages": message.fail_on_multiple,
        },
        "callback": message.callback,
        "createdAt": created,
        "updatedAt": created,
        "sentAt": None,
        "deliveredAt": None,
        "isOtp": False,
    }
    return priced(document, price)


def priced(document: Document, price: Decimal) -> Document:
    """Return a copy of the message object with the price of a segment and the total price."""
    total = price * document["messageCount"]
    return {**document, "price": str(price), "totalPrice": str(total)}


def moved(document: Document, state: str) -> Document:
    """Return a copy of the message object in a new state, with a later `updatedAt`."""
    updated = iso(_later_than(document["updatedAt"]))
    times = {"updatedAt": updated}
    if state == "PENDING":
        times["sentAt"] = updated
    if state == "DELIVERED":
        times["deliveredAt"] = updated
    return {**document, "state": state, **times}


def as_pending(document: Document) -> Document:
    """Return a copy of the JSON object of a message, in which the message is still PENDING."""
    sent = document["sentAt"] or document["createdAt"]
    return {**document, "state": "PENDING", "updatedAt": sent, "deliveredAt": None}


def show(document: Document, profiles: Profiles) -> Document:
    """Return the message object as the client gets it while these profiles are active."""
    shown = {**document}
    for name in ("price", "totalPrice"):
        price = Decimal(document[name])
        shown[name] = float(price) if price and "price-zero" not in profiles else 0
    if "numeric-ids" in profiles:
        shown["id"] = int(document["id"])
    if "blocklisted" in profiles:
        shown |= {"blocklisted": True, "blocklistedReason": BLOCKLISTED_REASON}
    _spell_recipient(shown, profiles)
    if "callback-not-echoed" in profiles or not document["callback"]:
        del shown["callback"]
    elif "custom-not-echoed" in profiles:
        echoed = document["callback"].items()
        shown["callback"] = {name: value for name, value in echoed if name != "custom"}
    return shown


def _spell_recipient(shown: Document, profiles: Profiles) -> None:
    for profile, spell in _SPELLINGS.items():
        if profile in profiles:
            shown["recipient"] = spell(shown["recipient"])
    if "recipient-missing" in profiles:
        del shown["recipient"]


def reference_of(message: Any) -> str:
    """Return the reference that the client gave to a message, or "" if there is none.

    The reference is in ``callback.custom._smsww.reference`` of the message object.
    """
    found = message
    for name in ("callback", "custom", "_smsww", "reference"):
        found = found.get(name) if isinstance(found, dict) else None
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else ""


def _later_than(updated: str) -> float:
    moment = now()
    while iso(moment) <= updated:
        moment += 0.000_001
    return moment
