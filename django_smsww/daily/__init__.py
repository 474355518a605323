"""What each day came to: messages, segments, costs, and how long deliveries took.

Days that have ended are added up once and kept, so that a page which shows a month need not read a
month of rows. A late callback, a correction or pruning has the day added up again.
"""

from .day import Day, Sums, Times, new_groups
from .kept import keep_up, read_days
from .rows import day_of

__all__ = ["Day", "Sums", "Times", "day_of", "keep_up", "new_groups", "read_days"]
