"""The project's own web server in a thread: it receives the callbacks and shows the admin."""

import threading
from typing import Self

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)

HOST = "127.0.0.1"


class Site:
    """Serves the project on this machine during the block."""

    def __init__(self, port: int) -> None:
        """Bind the port, 0 for a free one; raise OSError if it is taken."""
        self._server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
        self._server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
