"""A Celery worker, and the beat that wakes it, in threads of this process: never fork from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from celery import Celery
from celery.beat import Scheduler, Service
from celery.worker import WorkController

#: Seconds that a worker may take to begin.
MAX_WAIT_SECONDS = 30


@contextmanager
def run_worker(app: Celery, *, concurrency: int = 4) -> Iterator[None]:
    """
    Run tasks until the block ends; those that run then are waited for.

    :raises RuntimeError: if the worker does not begin
    """
    ready = Event()
    controller = WorkController(
        app=app,
        pool="threads",
        concurrency=concurrency,
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        ready_callback=lambda _consumer: ready.set(),
    )
    thread = Thread(target=controller.start, name="celery-worker", daemon=True)
    thread.start()
    try:
        if not ready.wait(MAX_WAIT_SECONDS):
            raise RuntimeError("The Celery worker does not begin.")
        yield
    finally:
        controller.stop()
        thread.join()


@contextmanager
def run_beat(app: Celery) -> Iterator[None]:
    """Send what is on the app's schedule until the block ends; nothing is kept in a file."""
    service = Service(app, max_interval=1, scheduler_cls=Scheduler)
    thread = Thread(target=service.start, name="celery-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join()
