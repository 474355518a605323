"""Settings of the processes that are killed: their own database, and a gateway over real HTTP."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, env

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # On a machine with much else to do, several processes may wait for longer than five seconds.
    DATABASES["default"]["OPTIONS"] = {"timeout": 30}

# What only serves pages would only make each process slower to start.
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_smsww"]
MIDDLEWARE = []
TEMPLATES = []
ROOT_URLCONF = "django_smsww.urls"

SMSWW = {
    "default": {
        "BACKEND": "django_smsww.backends.openapi.SMSBackend",
        "OPTIONS": {
            "token": "simulator",
            "host": env("GATEWAY", default="http://127.0.0.1:1"),
            "environment": "faults",
            "timeout": env.float("TIMEOUT", default=5.0),
            "concurrency": env.int("CONCURRENCY", default=16),
            # Nobody listens there: what became of a message is for the row and the gateway to say.
            "callback_url": env("CALLBACKS", default="http://127.0.0.1:9/sms/callback/"),
            "callback_retry": env.int("RETRIES", default=0),
        },
    }
}
