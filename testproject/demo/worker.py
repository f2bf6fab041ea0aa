"""A Celery worker and beat in threads of this process, which must not fork while they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from celery import Celery
from celery.beat import Scheduler, Service
from celery.worker import WorkController

#: Time limit for the start of the worker.
MAX_WAIT_SECONDS = 30


@contextmanager
def run_worker(app: Celery, *, concurrency: int = 4) -> Iterator[None]:
    """
    Run a Celery worker until the block ends, then wait for the running tasks.

    :raises RuntimeError: if the worker does not start in time
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
            raise RuntimeError("The Celery worker did not start.")
        yield
    finally:
        controller.stop()
        thread.join()


@contextmanager
def run_beat(app: Celery) -> Iterator[None]:
    """Run beat with the app's schedule, kept in memory, until the block ends."""
    service = Service(app, max_interval=1, scheduler_cls=Scheduler)
    thread = Thread(target=service.start, name="celery-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join()
