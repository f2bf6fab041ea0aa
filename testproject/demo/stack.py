"""Everything that the demo runs in its one process: simulator, worker, beat and site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from testproject.celery import app
from testproject.demo.environment import demo_folder, write_env_file
from testproject.demo.server import serve_site
from testproject.demo.worker import run_beat, run_worker
from zoho_crm.simulator import Server, Simulator, SimulatorSettings


@dataclass(frozen=True, kw_only=True)
class DemoStack:
    """Addresses and objects of what is running."""

    #: URLs of the site and of the simulator.
    site: str
    zoho: str
    #: The simulator itself, as it runs in this process.
    simulator: Simulator
    #: Id of the simulator's organisation.
    org_id: str
    #: File to ``source`` in another shell, for commands that use this demo.
    env_file: Path


@contextmanager
def run_stack(*, port: int, leads: int, keep: bool, quiet: bool) -> Iterator[DemoStack]:
    """
    Run a simulator, a Celery worker, beat and the site until the block ends.

    :raises FolderLockedError: if another demo uses the folder
    """
    simulator = Simulator(SimulatorSettings(leads=leads))
    with demo_folder(keep=keep) as folder, Server(simulator) as zoho:
        settings.ZOHO_CRM = {**settings.ZOHO_CRM, "LOCAL_URL": zoho.origin}
        write_env_file(folder / "env", ZOHO_CRM_LOCAL_URL=zoho.origin)
        call_command("migrate", verbosity=0, skip_checks=True)
        with run_worker(app), run_beat(app), serve_site(port, quiet=quiet) as url:
            yield DemoStack(
                site=url,
                zoho=zoho.origin,
                simulator=simulator,
                org_id=simulator.organisation.id,
                env_file=folder / "env",
            )
