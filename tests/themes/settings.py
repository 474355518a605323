"""A project whose admin wears the theme that ADMIN_THEME names."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

THEME = os.environ["ADMIN_THEME"]
ROOT_URLCONF = "tests.themes.urls"
# The suite that starts these tests has a test database by its own name.
DATABASES["default"]["TEST"] = {"NAME": f"test_smsww_{THEME}"}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {}

INSTALLED_APPS = [THEME, *INSTALLED_APPS]
# Follow the browser, as the others do.
JAZZMIN_UI_TWEAKS = {"default_theme_mode": "auto"}
