"""Pages of the history, the newest rows first."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MOST_DIGITS = 18


class NewestFirstPagination(CursorPagination):
    """Page by primary key: no page is slower than the first one, and nothing is counted."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Refuse a cursor that we did not make; it would be compared with primary keys."""
        cursor: Any = super().decode_cursor(request)
        position = cursor.position if cursor else None
        if position and not (position.isdecimal() and len(position) <= MOST_DIGITS):
            raise NotFound(self.invalid_cursor_message)
        return cursor
