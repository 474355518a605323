"""Maintenance: the status report, daily sums, and the deletion of old messages."""

from .status import STATUSES, collect

__all__ = ["STATUSES", "collect"]
