"""The five endpoints of the SMS service."""

from __future__ import annotations

from .acceptance import accept, check_account, check_content, check_credit, price_document
from .behaviours import DELIVERED, TEST_NUMBERS, Behaviour
from .clock import now
from .drafts import read_draft
from .faults import ANSWERS, REDIRECTED
from .http import Refusal, Request, Response, json_response, platform_error
from .messages import Document, show
from .validation import Draft
from .world import World

_PAGE = 100
_SMALL_PAGE = 50


class Gateway:
    """Accepts whatever is valid, each time it comes."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, request: Request, route: str) -> Response:
        """Answer a POST of a message: /WW-messages, /IT-messages, /ES-messages."""
        number = self._world.journal.arrive(request)
        try:
            return self._send(request, route, number)
        except Refusal as refusal:
            self._world.journal.decide(number, "refused", refusal.response)
            return refusal.response

    def list(self, request: Request) -> Response:
        """Answer GET /messages."""
        profiles = self._world.profiles
        self._world.doorkeeper.check_bearer(request)
        entries = self._world.ledger.page(
            request.number("skip", 0),
            request.number("limit", _PAGE, maximum=self._page_size()),
            oldest_first="oldest-first" in profiles,
            before=now() - profiles.seconds("list-late"),
        )
        if not entries and "empty-list-404" in profiles:
            raise platform_error(404, "No messages found")
        shown = [show(entry.document, profiles) for entry in entries]
        return self._spoil(request, json_response(self._world.wrap(shown)))

    def get(self, request: Request, message_id: str) -> Response:
        """Answer GET /messages/{id}; its 404 has no body."""
        self._world.doorkeeper.check_bearer(request)
        entry = self._world.ledger.get(message_id)
        if entry is None:
            return Response(404)
        return self._spoil(request, self._answer(entry.document, 200))

    def _send(self, request: Request, route: str, number: int) -> Response:
        self._world.doorkeeper.check_bearer(request)
        check_account(self._world)
        draft = read_draft(request.json(), route)
        ending = self._ending(request, draft)
        behaviour = TEST_NUMBERS.get(ending, DELIVERED)
        if not behaviour.accepts:
            raise Refusal(ANSWERS[behaviour.answer](request, Response()))
        check_content(self._world, draft)
        if draft.dry_run:
            return self._validate(request, draft, behaviour, number)
        response, message_id = self._accept(request, draft, ending, number)
        if behaviour.rushed:
            self._world.lifecycle.rush(message_id)
        return response

    def _validate(
        self, request: Request, draft: Draft, behaviour: Behaviour, number: int
    ) -> Response:
        true = self._answer(price_document(draft), 201)
        response = ANSWERS[behaviour.answer](request, true)
        self._world.journal.decide(number, "validated", response)
        return response

    def _accept(
        self, request: Request, draft: Draft, ending: str, number: int
    ) -> tuple[Response, str]:
        behaviour = TEST_NUMBERS.get(ending, DELIVERED)
        with self._world.store.transaction():
            check_credit(self._world, draft)
            document = accept(self._world, draft, ending)
            response = ANSWERS[behaviour.answer](request, self._answer(document, 201))
            self._world.journal.decide(number, "accepted", response, document["id"])
        self._world.lifecycle.expect(self._world.lifecycle.next_due())
        return response, document["id"]

    def _ending(self, request: Request, draft: Draft) -> str:
        """Return the key of what happens to this message: armed, or its number's, or none."""
        if REDIRECTED in request.query:
            return ""
        ending = self._world.take_armed("POST") or draft.recipient[-3:]
        return ending if ending in TEST_NUMBERS else ""

    def _answer(self, document: Document, status: int) -> Response:
        return json_response(self._world.wrap(show(document, self._world.profiles)), status)

    def _spoil(self, request: Request, true: Response) -> Response:
        behaviour = TEST_NUMBERS.get(self._world.take_armed("GET"), DELIVERED)
        return ANSWERS[behaviour.answer](request, true)

    def _page_size(self) -> int:
        return _SMALL_PAGE if "pages-of-50" in self._world.profiles else _PAGE
