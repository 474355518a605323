"""The whole loop on this machine: send, receive callbacks, browse."""

import logging
import shlex
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Message

from ...history import differences, format_table, problems_of, refresh
from ...scenario import TOTAL, Sent, send_everything
from ...site import Site

PASSWORD = "admin"  # noqa: S105  for this machine only, and shown on the screen
ENVIRONMENT = "demo"
"""The demo leaves rows of other environments alone, such as those for the gateway."""
STATE_DELAY = 0.3
TIMEOUT = 3.0
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n}/{total}"


class Command(BaseCommand):
    help = "Send messages to a simulator, wait for their callbacks, and show both in the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after the table")
        parser.add_argument("--port", type=int, help="of the site; default: 8000, or a free one")
        parser.add_argument("--simulator-port", type=int, default=0, help="default: a free one")
        parser.add_argument("--wait", type=float, default=60, help="seconds for the callbacks")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo makes an admin with a known password: not in production.")
        signal.signal(signal.SIGTERM, _interrupt)
        prepare_database()
        with (
            open_site(options["port"]) as site,
            open_simulator(options["simulator_port"]) as simulator,
        ):
            use(simulator, site)
            try:
                self.run(simulator, site, options)
            except KeyboardInterrupt:
                self.stdout.write("\nStopped.")
                if options["once"]:
                    sys.exit(130)

    def run(self, simulator: SimulatorProcess, site: Site, options: dict[str, Any]) -> None:
        """Send, wait, report; then serve, or exit with 1 if there are differences."""
        self.stdout.write(f"The simulator of the gateway listens on {simulator.url}.")
        self.stdout.write(f"It calls back to {site.url}/sms/callback/.\n\n")
        # The forged callbacks would write warnings across the progress bar.
        logging.disable(logging.WARNING)
        sent = list(tqdm(send_everything(), "Sending", TOTAL, bar_format=BAR))
        sent = wait_for_callbacks(sent, simulator, options["wait"])
        logging.disable(logging.NOTSET)
        self.stdout.write(f"\n{format_table(sent)}\n\n")
        found = differences(sent, simulator.ledger())
        self.report(found)
        if not options["once"]:
            self.serve(simulator, site)
        elif found:
            sys.exit(1)

    def report(self, found: Sequence[str]) -> None:
        if found:
            self.stdout.write(self.style.ERROR("Not as expected:"))
            self.stdout.write("\n".join(f"  {one}" for one in found))
            return
        text = "Every message is in the state that its test number stands for."
        self.stdout.write(self.style.SUCCESS(text))

    def serve(self, simulator: SimulatorProcess, site: Site) -> None:
        self.stdout.write(f"\nThe messages:    {site.url}/admin/django_smsww/message/")
        self.stdout.write(f"  {describe_admin()}")
        self.stdout.write(f"The telephones:  {site.url}/phones/")
        self.stdout.write(f"The database:    {Message.objects.count()} messages by now")
        self.stdout.write("\nOther commands need the variables of the demo, for example:")
        self.stdout.write(f"  {command_line(simulator, site)}")
        self.stdout.write("\nCtrl-C ends all of them, and the worker that sends queued messages.")
        call_command("smsww_worker", verbosity=0)
        self.stdout.write("\nStopped.")


def prepare_database() -> None:
    """Migrate, and add an administrator if there is none."""
    call_command("migrate", verbosity=0, interactive=False)
    users = get_user_model()._default_manager
    if not users.filter(username="admin").exists():
        users.create_superuser("admin", "", PASSWORD)


def describe_admin() -> str:
    """Describe the log-in. The demo does not reset a changed password."""
    admin = get_user_model()._default_manager.get(username="admin")
    known = admin.check_password(PASSWORD)
    return f"User admin, password {PASSWORD}" if known else "User admin, with your password"


def command_line(simulator: SimulatorProcess, site: Site) -> str:
    """Return the shell command that shows the status of the demo from another terminal."""
    address = f"{simulator.url.replace('http', 'simulator')}?environment={ENVIRONMENT}"
    variables = f"SITE_URL={site.url} SMS_URL={shlex.quote(address)}"
    return f"{variables} {shlex.join([sys.executable, sys.argv[0], 'smsww_status'])}"


def open_site(port: int | None) -> Site:
    """Return the site on this port; by default on 8000, or on a free port if 8000 is taken."""
    try:
        return Site(8000 if port is None else port)
    except OSError as error:
        if port is None:
            return Site(0)
        raise CommandError(f"Port {port} cannot be used ({error.strerror}): try another.") from None


@contextmanager
def open_simulator(port: int) -> Iterator[SimulatorProcess]:
    """Run a simulator during the block; raise CommandError if it does not start."""
    simulator = SimulatorProcess(port=port, state_delay=STATE_DELAY)
    try:
        simulator.start()
    except RuntimeError as error:
        raise CommandError(f"{error} If its port is taken, try another --simulator-port.") from None
    try:
        yield simulator
    finally:
        simulator.stop()


def use(simulator: SimulatorProcess, site: Site) -> None:
    """Point SMSWW to the simulator and the site. Backends read the setting at each use."""
    settings.SMSWW = {
        "default": {
            "BACKEND": "django_smsww.backends.openapi.SMSBackend",
            # The demo never speaks to the real gateway, even if the environment has a token.
            "OPTIONS": {
                "token": "simulator",
                "host": simulator.url,
                "callback_url": f"{site.url}/sms/callback/",
                "environment": ENVIRONMENT,
                "timeout": TIMEOUT,
                # The site refuses forged callbacks each time, and the demo waits for the last.
                "callback_retry": 2,
            },
        }
    }


def wait_for_callbacks(sent: list[Sent], simulator: SimulatorProcess, seconds: float) -> list[Sent]:
    """Wait for the expected states and the last callbacks; return the rows."""
    deadline = time.monotonic() + seconds
    with tqdm(desc="Waiting", total=len(sent), bar_format=BAR) as bar:
        while bar.n < len(sent) and time.monotonic() < deadline:
            bar.n = sum(not any(problems_of(one)) for one in refresh(sent))
            bar.refresh()
            time.sleep(0.1)
    try:
        simulator.wait_until_idle(max(0.1, deadline - time.monotonic()))
    except TimeoutError:
        tqdm.write("Some callbacks are still under way.")
    return refresh(sent)


def _interrupt(*args: Any) -> NoReturn:
    """Handle SIGTERM like Ctrl-C, so that the simulator ends too."""
    raise KeyboardInterrupt
