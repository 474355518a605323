#!/usr/bin/env python
"""Run a command of the example project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            "Django is not installed for this Python. In the folder above, run:\n"
            "  python3 -m venv .venv && .venv/bin/pip install -e '.[demo]'\n"
            "and use .venv/bin/python."
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
