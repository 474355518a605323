"""What an action on messages is: its permission, its texts, its question and its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages as levels
from django.db.models import Model
from django.utils.functional import Promise

from ...models import Message

Text = str | Promise
LONGEST_REASON = 255


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an action for one message.

    Attributes:
        row: the row whose page is shown next; None if the action did nothing.
        text: a sentence for the person who asked.
        problem: the sentence for a failure.
        log: the message that was acted on, and what was done, for the admin's history.
        stop: whether the next message would fail, too.
    """

    row: Message | None = None
    text: Text = ""
    problem: Text = ""
    log: tuple[Message, str] | None = None
    stop: bool = False

    @property
    def level(self) -> int:
        """The level of Django's messages framework."""
        if self.row is None:
            return levels.ERROR
        return levels.WARNING if self.problem else levels.SUCCESS


class Action:
    """An action on one message, or on the selected ones.

    A subclass gives the texts, says in `why_not()` which messages it refuses, and acts in `do()`.
    Texts with "%d" come from `ngettext_lazy()`; the number is the count of messages.
    """

    name: ClassVar[str]
    """In addresses, in the permission "{name}_message", and in `has_{name}_permission()`."""

    most: ClassVar[int] = 50
    """The largest selection: a person waits for the page."""

    form_class: ClassVar[type[forms.Form]] = forms.Form
    """The questions; a form without fields is always valid."""

    button: ClassVar[Text]
    label: ClassVar[Text]
    confirm: ClassVar[Text]
    title: ClassVar[Text]
    title_selected: ClassVar[Text]
    leaving: ClassVar[Text]
    staying: ClassVar[Text]
    done: ClassVar[Text]
    cost: ClassVar[Text] = ""
    warning: ClassVar[Text] = ""

    def why_not(self, message: Message) -> Text:
        """Return why the action refuses this message, or ""."""
        raise NotImplementedError

    def why_refused(self, message: Message, user: Any) -> Text:
        """Return why the action on this one message would be refused now, or "".

        Unlike `why_not()`, it may ask the database.
        """
        return self.why_not(message)

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Return why the answered form leaves out this one of several messages, or ""."""
        return self.why_not(message)

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Return the form that asks about these rows."""
        return self.form_class(data)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Act on one message; return errors of the gateway as a result instead of raising."""
        raise NotImplementedError

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Result]:
        """Act on one message after the other."""
        for message in rows:
            yield self.do(message, user, answers)
