"""
One process of many that want the same access token: ``python -m tests.single_flight.caller``.

It says ``ready``, waits for a line, asks in so many threads at once, and prints what each got.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django


def main(connection_id: int, threads: int) -> None:
    django.setup()
    # Models can be imported only now.
    from django.db import close_old_connections, connections

    from zoho_crm.exceptions import ZohoError
    from zoho_crm.services.tokens import access_token

    start = Barrier(threads)

    def ask(_number: int) -> str:
        try:
            close_old_connections()
            start.wait()
            secret = access_token(connection_id=connection_id)
        except ZohoError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connections.close_all()
        return hashlib.sha256(secret.reveal().encode()).hexdigest()

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        print(json.dumps(list(pool.map(ask, range(threads)))), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    main(int(sys.argv[1]), int(sys.argv[2]))
