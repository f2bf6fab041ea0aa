"""A threaded web server for the site, with the admin and the static files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from testproject.wsgi import application

HOST = "127.0.0.1"


class QuietHandler(WSGIRequestHandler):
    """Does not log requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: stdout and stderr are for the demo's own output."""


@contextmanager
def serve_site(port: int, *, quiet: bool = True, site: WSGIHandler = application) -> Iterator[str]:
    """Serve the site until the block ends, on a free port if this one is taken; yield its URL."""
    if quiet:
        logging.getLogger("django.request").setLevel(logging.ERROR)
    server = _server(port, QuietHandler if quiet else WSGIRequestHandler)
    server.set_app(StaticFilesHandler(site))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(port: int, handler: type[WSGIRequestHandler]) -> ThreadedWSGIServer:
    try:
        return ThreadedWSGIServer((HOST, port), handler)
    except OSError:
        return ThreadedWSGIServer((HOST, 0), handler)
