"""What an answer means for its row: where it moves, what it has cost, when it is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..clock import database_now
from ..exceptions import ContentRefused, SMSError, SMSLimited, SMSUnavailable
from ..models import Message, MessageQuerySet
from ..models import provider_facts as facts
from ..models.transitions import Move, accepted, failed, postponed, put_back, validated
from ..sms import SendResult
from .admission import delay
from .threads import Answer

MAX_ATTEMPTS = 10


@dataclass
class Consequences:
    """What the answers of one delivery mean.

    Attributes:
        inline: somebody waits, so what certainly was not sent is FAILED and not tried again.
    """

    rows: MessageQuerySet
    inline: bool

    def move_of(self, answer: Answer) -> Move:
        """Return where the answer moves its row."""
        message, result = answer.message, answer.result
        if answer.never_begun:
            return put_back(message)
        if result.error is not None:
            return self._move_of_error(answer, result.error)
        if message.dry_run:
            return validated(message, result, self.rows.db)
        return accepted(message, result, self.rows.db)

    def said(self, answer: Answer, result: SendResult) -> dict[str, Any]:
        """Return the facts that came along with a refusal, and what it has cost."""
        changes = facts.merge(Message, result, self.rows.db)
        if isinstance(result.error, ContentRefused) and not answer.message.dry_run:
            changes["penalty"] = self._penalty(answer)
        return changes

    def _move_of_error(self, answer: Answer, error: SMSError) -> Move:
        message = answer.message
        if self._may_retry(message, error):
            # By the clock that it will be compared with, and not later than it expires, so that
            # the next look at it says so.
            again = database_now(self.rows.db) + delay(message, error)
            return postponed(message, error, min(again, message.expires_at))
        return failed(message, error, **self.said(answer, answer.result))

    def _may_retry(self, message: Message, error: SMSError) -> bool:
        return (
            not self.inline
            and isinstance(error, SMSUnavailable | SMSLimited)
            and message.attempts < MAX_ATTEMPTS
        )

    def _penalty(self, answer: Answer) -> Decimal | None:
        """Estimate what forbidden content cost: a fine, or the price of the message (IT, ES)."""
        message, result = answer.message, answer.result
        segments = result.segments or message.segments or 1
        if message.route not in ("IT", "ES"):
            return facts.FINE * segments
        if result.total_price:
            return result.total_price
        # A refusal names no price, so it is the one of the message before.
        priced = self.rows.filter(route=message.route, price__gt=0).order_by("-pk")
        price = priced.values_list("price", flat=True).first()
        return price and price * segments
