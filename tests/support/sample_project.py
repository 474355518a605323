"""A project of its own in a temporary folder, whose tests run in a process of their own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SETTINGS = """
SECRET_KEY = "a key for tests alone"
USE_TZ = True
ROOT_URLCONF = "urls"
SECURE_SSL_REDIRECT = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "django_smsww",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
# The gateway itself, at a port where nobody listens.
SMSWW = {
    "default": {"OPTIONS": {"token": "a-token", "host": "http://127.0.0.1:9", "sender": "Acme"}},
    "alerts": {
        "BACKEND": "django_smsww.backends.filebased.SMSBackend",
        "OPTIONS": {"file_path": "/nowhere", "max_segments": 1},
    },
}
"""
URLS = """
from django.urls import include, path

urlpatterns = [path("sms/", include("django_smsww.urls"))]
"""


def make(folder, tests, **modules):
    """Write the project and its tests into the folder."""
    files = {"settings": SETTINGS, "urls": URLS, "test_sample": tests} | modules
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def run(folder, *words, plugins=(), **environment):
    """Run a module of Python there; return the ended process."""
    options = [word for plugin in plugins for word in ("-p", plugin)]
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *map(str, words), *options],
        env={
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": f"{folder}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "settings",
        }
        | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pytest(folder, *options, plugins=("pytest_django.plugin",), **environment):
    """Run pytest there with our plugin, and return what it wrote."""
    words = ("pytest", "-q", "-c", "/dev/null", "--rootdir", folder, "-p", "no:cacheprovider")
    plugins = (*plugins, "django_smsww.testing.plugin")
    done = run(folder, *words, *options, plugins=plugins, **environment)
    return done.stdout + done.stderr
