"""Settings of the benchmarks: SQLite in WAL mode, or another database through DATABASE_URL."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import env

_folder = os.environ.get("BENCHMARK_FOLDER", "/nonexistent")
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{_folder}/db.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
    DATABASES["default"]["TEST"] = {"NAME": f"{_folder}/benchmark.sqlite3"}
else:
    # Several benchmarks may run on one server.
    DATABASES["default"]["TEST"] = {"NAME": f"benchmark_{os.getpid()}"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"silent": {"class": "logging.NullHandler"}},
    "loggers": {"post_office": {"handlers": ["silent"], "propagate": False}},
}
