"""How sending goes: what the records, the gateway and our own callback door say, as plain data."""

from .status import STATUSES, collect

__all__ = ["STATUSES", "collect"]
