"""
Processes that want the same access token: ``python -m tests.single_flight.caller``.

The program forks them when it has started. It says ``ready``, waits for a line, lets all of them
ask in so many threads each at once, and prints what each thread got.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import django


def ask_in_threads(connection_id: int, threads: int, ready: Any, start: Any, answers: Any) -> None:
    """Put a fingerprint of the token that each thread got, or its error."""
    # Models can be imported only when Django is set up.
    from django.db import close_old_connections, connections

    from zoho_crm.exceptions import ZohoError
    from zoho_crm.services.tokens import access_token

    at_once = Barrier(threads)

    def ask(_number: int) -> str:
        try:
            close_old_connections()
            at_once.wait()
            secret = access_token(connection_id=connection_id)
        except ZohoError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connections.close_all()
        return hashlib.sha256(secret.reveal().encode()).hexdigest()

    with ThreadPoolExecutor(threads) as pool:
        ready.wait()
        start.wait()
        answers.put(list(pool.map(ask, range(threads))))


def main(connection_id: int, processes: int, threads: int) -> None:
    django.setup()
    fork = multiprocessing.get_context("fork")
    ready, start, answers = fork.Barrier(processes + 1), fork.Event(), fork.SimpleQueue()
    for _process in range(processes):
        arguments = (connection_id, threads, ready, start, answers)
        fork.Process(target=ask_in_threads, args=arguments, daemon=True).start()
    ready.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    start.set()
    print(json.dumps([answer for _ in range(processes) for answer in answers.get()]), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    main(*map(int, sys.argv[1:]))
