"""A callback receiver that records posts and answers with given statuses."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes
    arrived: float

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return {name: json.loads(value) for name, value in parse_qsl(self.body.decode())}

    @property
    def state(self):
        return self.json["data"]["state"]


class Receiver:
    """Listens on loopback; answers with `statuses` in their order, then 200, while it is `open`."""

    def __init__(self):
        self.posts: list[Post] = []
        self.statuses: list[int] = []
        self.open = threading.Event()
        self.open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append(Post(self.path, headers, body, time.monotonic()))
                receiver.open.wait(10)
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                with suppress(ConnectionError):  # the simulator may have been killed meanwhile
                    self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"

    @property
    def states(self):
        return [post.state for post in self.posts]

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
