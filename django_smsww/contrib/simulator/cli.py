"""The command line of the simulator, for ``python -m`` and for the management command."""

import argparse
from collections.abc import Sequence
from typing import Any

from .behaviours import TEST_NUMBERS
from .context import Options
from .profiles import DESCRIPTIONS, UnknownProfileError
from .server import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8026, help="port to bind; 0 picks a free one")
    parser.add_argument("--store", default="", help="SQLite file to keep; default: a temporary one")
    parser.add_argument("--state-delay", type=float, default=0.5, help="seconds between two states")
    parser.add_argument("--drip", type=float, default=0.2, help="seconds a byte of a slow answer")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before any answer")
    parser.add_argument(
        "--token", default="", help='the only valid token; default: any but "wrong"'
    )
    parser.add_argument(
        "--certificate", default="", help="PEM file with certificate and key, to speak TLS"
    )
    parser.add_argument(
        "--profile",
        dest="profiles",
        action="append",
        default=[],
        metavar="NAME",
        help="a guess about the gateway to follow, repeatable: "
        + "; ".join(f"{name}: {text}" for name, text in DESCRIPTIONS.items()),
    )
    parser.add_argument("--quiet", action="store_true", help="do not print a line for each request")
    parser.add_argument(
        "--stop-with-parent", action="store_true", help="end when standard input is closed"
    )
    parser.add_argument("--numbers", action="store_true", help="print the test numbers and end")


def execute(values: dict[str, Any]) -> None:
    """Run a simulator with these options. With ``--numbers``, only print the test numbers."""
    if values["numbers"]:
        print("The last three digits of a number decide; all others are delivered.")
        for ending, behaviour in TEST_NUMBERS.items():
            print(f"...{ending}  {behaviour.description}")
        return
    options = {name: values[name] for name in Options.__dataclass_fields__}
    run(Options(**options | {"profiles": tuple(options["profiles"])}))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="smsww_simulator", description="Stand in for the gateway."
    )
    add_arguments(parser)
    try:
        execute(vars(parser.parse_args(arguments)))
    except (OSError, UnknownProfileError) as error:
        parser.error(str(error))
    return 0
