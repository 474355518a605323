"""The test numbers: the last three digits of a recipient decide what happens to its message.

Any prefix will do: +393330000901 and +447700900901 behave alike. A number that is not in the table
is delivered. "Accepted" below means: recorded, charged and sent, whatever the caller was told.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to one message.

    ``steps`` are the states after NEW; ``answer`` names how the caller is answered
    (faults.ANSWERS), ``callbacks`` how its callbacks are spoiled (variants.VARIANTS).
    """

    description: str
    steps: tuple[str, ...] = ("PENDING", "DELIVERED")
    accepts: bool = True
    answer: str = "true"
    callbacks: str = "true"
    blocklisted: bool = False
    rushed: bool = False


def _refused(description: str, answer: str) -> Behaviour:
    return Behaviour(f"{description}; not accepted", (), accepts=False, answer=answer)


def _accepted(description: str, answer: str) -> Behaviour:
    return Behaviour(f"{description}, after accepting", answer=answer)


DELIVERED = Behaviour("delivered")
TEST_NUMBERS: dict[str, Behaviour] = {
    "901": Behaviour("ends UNDELIVERABLE", ("PENDING", "UNDELIVERABLE")),
    "902": Behaviour("ends EXPIRED", ("PENDING", "EXPIRED")),
    "903": Behaviour("ends REJECTED", ("PENDING", "REJECTED")),
    "904": Behaviour("stays PENDING", ("PENDING",)),
    "905": Behaviour("stays NEW, no callback ever", ()),
    "911": _accepted("no answer, the connection stays open until the caller closes it", "hang"),
    "912": _accepted("500", "500"),
    "913": _refused("500", "500"),
    "914": _accepted("connection reset", "reset"),
    "915": _refused("connection reset", "reset"),
    "916": _refused("503 with the platform's JSON", "503"),
    "917": _accepted("503 with a proxy's HTML", "503-html"),
    "918": _refused("429 with Retry-After: 1", "429"),
    "919": _refused("402, insufficient credit", "402"),
    "920": _refused("417, temporarily unavailable", "417"),
    "921": _accepted("201 with JSON that breaks off", "broken-json"),
    "922": _accepted("200 with HTML", "200-html"),
    "923": _accepted("201, one byte at a time", "drip"),
    "924": _refused("307 to an address that would accept", "307"),
    "925": Behaviour(
        "accepted with blocklisted: true and a reason, fined, ends REJECTED",
        ("REJECTED",),
        blocklisted=True,
    ),
    "926": Behaviour("delivered, the callbacks get lost", callbacks="lost"),
    "927": Behaviour("delivered, each callback comes twice", callbacks="twice"),
    "928": Behaviour("delivered, the callbacks come in reverse order", callbacks="reversed"),
    "929": Behaviour("delivered, all callbacks come before the answer", rushed=True),
    "930": Behaviour(
        "delivered, with a forged callback (REJECTED, wrong signature) before each true one",
        callbacks="forged",
    ),
    "931": Behaviour(
        "delivered, with a callback for another message's id (REJECTED) before each true one",
        callbacks="foreign",
    ),
    "932": Behaviour("ends in a state word that is not documented", ("PENDING", "QUARANTINED")),
    "933": _refused("401, wrong token", "401"),
    "934": _accepted("408", "408"),
    "935": _accepted("502 with a proxy's HTML", "502-html"),
    "936": _accepted("504 with a proxy's HTML", "504-html"),
    "937": _refused("502 with a proxy's HTML", "502-html"),
    "938": Behaviour("delivered, the callbacks come late", callbacks="late"),
    "939": _accepted("201, the connection closes in the middle of the body", "cut-short"),
    "940": _refused("no answer, the connection stays open until the caller closes it", "hang"),
    "941": _refused("504 with a proxy's HTML", "504-html"),
    "942": _refused("503 with a proxy's HTML", "503-html"),
    "943": _accepted("500 with the platform's JSON", "500-platform"),
    "944": _refused("500 with the platform's JSON", "500-platform"),
    # There is no 503 with JSON after accepting: in either envelope it is the gateway's own word
    # that it did not accept.
    "945": _refused("503 with the gateway's JSON", "503-gateway"),
    "946": _accepted("502 with the gateway's JSON", "502"),
    "947": _refused("502 with the platform's JSON", "502-platform"),
    "948": _accepted("504 with the platform's JSON", "504-platform"),
    "949": _refused("504 with the gateway's JSON", "504"),
    "950": _accepted("201 with JSON that is said to be plain text", "text"),
    "951": _accepted("TLS breaks in the middle of the answer", "broken-tls"),
    "952": _refused("TLS breaks in the middle of the answer", "broken-tls"),
    "953": _accepted("103 and 102, then 201", "interim"),
    "954": _refused("103 and 102, then 429", "interim-429"),
    "955": _accepted("a proxy's 429 and the true 201, at once", "doubled"),
}


def behaviour_of(recipient: str) -> Behaviour:
    """Return what happens to a message for this number."""
    return TEST_NUMBERS.get(recipient[-3:], DELIVERED)
