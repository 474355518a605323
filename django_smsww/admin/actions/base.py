"""The base classes of the admin's actions on messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages as levels
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ...models import Message, MessageQuerySet
from ...sending.resending import Estimate, estimate
from ..formatting import money, named_countries

Text = str | Promise
LONGEST_REASON = 255
READ_BY = _("The timeline shows the reason to users who may see numbers and texts.")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an action for one message.

    Attributes:
        row: the message whose page is shown next; None if the action did nothing.
        text: the sentence that the user reads on the page of `row`.
        problem: a sentence that says why the action failed; "" after a success.
        log: the row and the text of an entry in the admin's history; None for no entry.
        stop: True if the action would fail for the remaining messages, too.
    """

    row: Message | None = None
    text: Text = ""
    problem: Text = ""
    log: tuple[Message, str] | None = None
    stop: bool = False

    @property
    def chosen(self) -> Any:
        """The message that the user chose: the old message, if the action was a resend."""
        return self.log[0] if self.log else self.row

    @property
    def level(self) -> int:
        """The level of the result for Django's messages framework: success, warning or error."""
        if self.row is None:
            return levels.ERROR
        return levels.WARNING if self.problem else levels.SUCCESS


class Action:
    """An action on one message, or on the selected messages.

    A subclass defines the texts of the pages as class attributes, and implements `why_not()` and
    either `do()` or `do_all()`. Texts with "%d" (the number of messages) come from
    `ngettext_lazy()`. The parameter `answers` of the methods is the cleaned data of the form.
    """

    name: ClassVar[str]
    """A part of URLs, of the permission "{name}_message" and of `has_{name}_permission()`."""

    most: ClassVar[int] = 50
    """A user can select at most this many messages, because the user waits for the action."""

    form_class: ClassVar[type[forms.Form]] = forms.Form
    """The form on the confirmation page. The default form has no fields, so any POST is valid."""

    button: ClassVar[Text]
    label: ClassVar[Text]
    confirm: ClassVar[Text]
    title: ClassVar[Text]
    title_selected: ClassVar[Text]
    leaving: ClassVar[Text]
    staying: ClassVar[Text]
    done: ClassVar[Text]
    sends: ClassVar[bool] = False
    warning: ClassVar[Text] = ""

    def why_not(self, message: Message) -> Text:
        """Return why the action refuses this message, or "" if it accepts the message."""
        raise NotImplementedError

    def why_refused(self, message: Message, user: Any) -> Text:
        """Return why the pages of the admin do not offer the action; "" if they offer it.

        Unlike `why_not()`, this method can make several database queries for its checks.
        """
        return self.why_not(message)

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Return why the action skips this message of a selection, or "" if it does not skip it."""
        return self.why_not(message)

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        return self.form_class(data)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Act on one message, and return the result.

        An error of the gateway is described in the result, and is not raised.
        """
        raise NotImplementedError

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Result]:
        """Act on each message in turn, and yield the results."""
        for message in rows:
            yield self.do(message, user, answers)


def size_of(rows: MessageQuerySet, *, with_cost: bool) -> dict[str, Any]:
    return size_context(estimate(rows), with_cost=with_cost)


def size_context(found: Estimate, *, with_cost: bool) -> dict[str, Any]:
    """Return the template context of message/size.html, with the cost if `with_cost` is True."""
    is_priced = with_cost and found.unpriced < found.messages
    return {
        "found": found,
        "countries": named_countries(found.countries),
        "cost": money(found.cost) if is_priced else "",
        "unpriced": found.unpriced if with_cost else 0,
    }
