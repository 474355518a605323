"""What a million messages weigh, each with two callbacks: the bytes of tables and indexes.

    DATABASE_URL=postgres://… [FILL=postgres://…] python -m tests.benchmarks.sizes [--small]

FILL names an empty database that is filled and kept, as `door.py` wants one. COUNT is how many
messages there are to be, if not a million.
"""

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

from tests.support.databases import new_database

from .harness import Benchmark
from .many_rows import fill

TABLES = ("django_smsww_message", "django_smsww_callback")
SIZES = """
SELECT relname, reltuples::bigint, pg_relation_size(oid) + coalesce(
           pg_total_relation_size(nullif(reltoastrelid, 0)), 0), pg_indexes_size(oid)
FROM pg_class WHERE relname = ANY(%s) ORDER BY relname DESC
"""
INDEXES = """
SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index
WHERE indrelid::regclass::text = ANY(%s) ORDER BY 2 DESC
"""


def main() -> None:
    bench = Benchmark("sizes", __doc__ or "")
    if not bench.has_postgresql("bytes of a message"):
        return
    messages = bench.size(int(os.environ.get("COUNT", 1_000_000)), small=2_000)
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("FILL", "")
        with nullcontext(kept) if kept else new_database(Path(folder)) as url:
            fill(url, messages, every=50, callbacks=2)
            total = report(url)
    bench.at_most("KB of a message with its callbacks", [total / messages / 1e3], 4)
    bench.finish()


def report(url: str) -> int:
    """Print the sizes, and return their sum."""
    import psycopg

    total = 0
    with psycopg.connect(url) as connection:
        for name, rows, table, indexes in connection.execute(SIZES, [list(TABLES)]):
            total += table + indexes
            print(
                f"  {name}: {rows} rows, {table / rows:.0f} bytes a row and {indexes / rows:.0f} "
                f"of indexes, {(table + indexes) / 1e9:.2f} GB"
            )
        for name, size in connection.execute(INDEXES, [list(TABLES)]):
            print(f"    {name:<44} {size / 1e6:8.1f} MB")
    return total


if __name__ == "__main__":
    main()
