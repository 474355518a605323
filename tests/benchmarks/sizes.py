"""What a million messages weigh: the bytes of tables and indexes on PostgreSQL.

    DATABASE_URL=postgres://… python -m tests.benchmarks.sizes [--messages N] [--url URL]

Each message has two callbacks. `--url` names an empty database that is filled and kept.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

import django
import psycopg

from tests.databases import new_database

from .many_rows import fill

SIZES = """
SELECT relname, reltuples::bigint, pg_relation_size(oid) + coalesce(
           pg_total_relation_size(nullif(reltoastrelid, 0)), 0), pg_indexes_size(oid)
FROM pg_class WHERE relname IN ('django_smsww_message', 'django_smsww_callback') ORDER BY 1 DESC
"""
INDEXES = """
SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index
WHERE indrelid::regclass::text IN ('django_smsww_message', 'django_smsww_callback')
ORDER BY 2 DESC
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--url", default="")
    chosen = options.parse_args()
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        place = nullcontext(chosen.url) if chosen.url else new_database(Path(folder))
        with place as url:
            fill(url, chosen.messages, every=50, callbacks=2)
            report(url)


def report(url: str) -> None:
    with psycopg.connect(url) as connection:
        for name, rows, table, indexes in connection.execute(SIZES):
            print(
                f"{name}: {rows} rows, {table / rows:.0f} bytes a row, "
                f"{indexes / rows:.0f} of indexes, {(table + indexes) / 1e9:.2f} GB"
            )
        for name, size in connection.execute(INDEXES):
            print(f"  {name:<44} {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
