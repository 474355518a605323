"""What the speed of the package is held to: `python -m tests.benchmarks.NAME`, `--small` to try."""
