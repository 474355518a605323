"""Upkeep: the status report as plain data, and the retention of old messages."""

from .status import STATUSES, collect

__all__ = ["STATUSES", "collect"]
