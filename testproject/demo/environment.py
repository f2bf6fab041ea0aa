"""The demo's own folder and environment variables, so that it uses nothing of the host."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from cryptography.fernet import Fernet

from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET

#: Environment variable with the folder of the demo, set in the demo's process.
FOLDER_VARIABLE = "DEMO_FOLDER"
DATABASE_FILE = "db.sqlite3"
KEY_FILE = "encryption.key"

#: Durations in seconds for ``ZOHO_CRM``, short enough for a person who watches.
SHORT_DURATIONS = {
    "CONNECT_TIMEOUT": 2,
    "CALL_DEADLINE": 5,
    "QUIET_PERIOD": 5,
    "MASS_QUIET_PERIOD": 5,
    "JOB_HORIZON": 30,
    "READ_SPACING": 1,
    "LEASE": 15,
    "SLICE": 5,
    "REFRESH_LEASE": 10,
    "SWEEP_INTERVAL": 2,
}


class FolderLockedError(Exception):
    """Another demo with --keep is running; stop it first, or leave out --keep."""


def is_demo_process() -> bool:
    """Return whether this process was started by ``restart_in_environment``."""
    return FOLDER_VARIABLE in os.environ


def restart_in_environment(*, kept: Path | None) -> NoReturn:
    """Replace this process by the same command line with the demo's variables."""
    if kept:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = kept or Path(tempfile.mkdtemp(prefix="zoho-crm-demo-"))
    variables = {
        **_without_host_settings(os.environ),
        **_demo_variables(folder),
        FOLDER_VARIABLE: str(folder),
    }
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)


def _without_host_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that the settings read, so that no real Zoho is used."""
    return {
        name: value
        for name, value in environment.items()
        if name not in ("ALLOWED_HOSTS", "HTTPS") and not name.startswith("ZOHO_CRM_")
    }


def _demo_variables(folder: Path) -> dict[str, str]:
    return {
        "DEBUG": "1",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "DATABASE_URL": f"sqlite:///{folder / DATABASE_FILE}",
        "CACHE_URL": "locmemcache://",
        "CELERY_BROKER_URL": "memory://",
        "ZOHO_CRM_CLIENT_ID": CLIENT_ID,
        "ZOHO_CRM_CLIENT_SECRET": CLIENT_SECRET,
        "ZOHO_CRM_DATA_CENTER": "local",
        "ZOHO_CRM_ENCRYPTION_KEYS": _encryption_key(folder / KEY_FILE),
        **{f"ZOHO_CRM_{name}": str(seconds) for name, seconds in SHORT_DURATIONS.items()},
    }


def _encryption_key(path: Path) -> str:
    """Return the key in the file; create one if there is none. A kept database needs its key."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(Fernet.generate_key())
    return path.read_text()


@contextmanager
def demo_folder(*, keep: bool) -> Iterator[Path]:
    """
    Lock the demo's folder and yield it; remove it at the end unless it is to be kept.

    :raises FolderLockedError: if another demo uses it
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    with ExitStack() as stack:
        _lock(stack.enter_context((folder / "lock").open("w")))
        if not keep:
            stack.callback(shutil.rmtree, folder)
        yield folder


def _lock(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderLockedError(FolderLockedError.__doc__) from error


def write_env_file(path: Path, **more: str) -> None:
    """Write a file to ``source`` in another shell, so that commands there use this demo."""
    path.touch(mode=0o600)
    known = {name: os.environ[name] for name in sorted(os.environ) if _is_for_commands(name)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in {**known, **more}.items()]
    path.write_text("\n".join((*lines, "")))


def _is_for_commands(name: str) -> bool:
    """Return whether commands need a variable; the broker's is left out: they use none."""
    return name in ("DATABASE_URL", "SECRET_KEY") or name.startswith("ZOHO_CRM_")
