"""Start the simulator without a Django project: ``python -m django_smsww.contrib.simulator``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
