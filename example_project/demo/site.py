"""The project's own web server in a thread: it takes the callbacks and shows the admin."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)

HOST = "127.0.0.1"


class Site:
    """Serve the project on this machine alone, from entering the block to leaving it."""

    def __init__(self, port: int) -> None:
        """Bind the port; raises OSError if it is taken. 0 picks a free one."""
        self._server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
        self._server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is reached, without a slash at the end."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_site(port: int | None, *, wanted: int = 8000) -> Site:
    """Return a site on this port; where none is asked for, on the usual one or any free one.

    Raises:
        OSError: the port that was asked for is taken.
    """
    if port is not None:
        return Site(port)
    try:
        return Site(wanted)
    except OSError:
        return Site(0)
