"""What a person may do with messages: each deed has a permission, a question and an answer."""

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


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a deed for one message.

    Attributes:
        row: whose page to show; None if nothing was done at all.
        said: what came of it, in a sentence.
        trouble: what is wrong, if something is.
        logged: what the admin's history says, for each row; by references alone.
        is_pointless_to_go_on: the next message would fare no better.
    """

    row: Message | None = None
    said: Text = ""
    trouble: Text = ""
    logged: tuple[tuple[Message, str], ...] = ()
    is_pointless_to_go_on: bool = False

    @property
    def level(self) -> int:
        """How loudly it is to be said."""
        if self.row is None:
            return levels.ERROR
        return levels.WARNING if self.trouble else levels.SUCCESS


class Deed:
    """One thing to do with one message, or with some.

    A subclass gives the names, says in `why_not()` which messages it leaves alone, and does it in
    `do()`. It may ask for more in a form.
    """

    name: ClassVar[str]
    """In addresses, in the permission "{name}_message", and in `has_{name}_permission()`."""

    most: ClassVar[int] = 50
    """Somebody waits for the page."""

    button: ClassVar[Text]
    action: ClassVar[Text]
    confirm: ClassVar[Text]
    title: ClassVar[Text]
    title_many: ClassVar[Text]
    staying: ClassVar[Text]
    warning: ClassVar[Text] = ""

    def why_not(self, message: Message) -> Text:
        """Return why it cannot be done with this message, or ""."""
        raise NotImplementedError

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Return what is asked besides; the form of nothing is always valid."""
        return forms.Form(data)

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Return why this one of several is left alone, after what was answered."""
        return self.why_not(message)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Done:
        """Do it with one message, and tell what came of it instead of raising."""
        raise NotImplementedError

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Done]:
        """Do it with several, one by one."""
        for message in rows:
            yield self.do(message, user, answers)

    def leaves(self, count: int) -> str:
        """Say how many messages it is about."""
        raise NotImplementedError

    def succeeded(self, count: int) -> str:
        """Say with how many it was done."""
        raise NotImplementedError

    def cost(self, known: str) -> str:
        """Say what is known of the cost."""
        return ""
