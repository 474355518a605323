"""The system checks. Importing this package registers them.

No check makes an HTTP request. If SMSWW is a function (see `ResolvedSettings`), the checks skip its
aliases, because the function may query the database.
"""

from . import aliases, callback_urls, database
from .aliases import TAG

__all__ = ["TAG", "aliases", "callback_urls", "database"]
