"""The checks of this repository, each in an environment of its own.

    pip install nox
    nox                                  lint, types, and the tests by Python and Django
    nox --list                           all sessions
    nox -s tests -p 3.13                 the tests on one Python
    nox -s tests -- -m 'not external'    with options for pytest: here the slow tests too
    nox -R -s lint                       in the environment of the last run

No session needs root. nox skips an interpreter that is missing; where the variable CI is set, it
fails instead. You start the servers, and give their URLs in the environment.
"""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"

DJANGO = {
    "3.11": ["5.2"],
    "3.12": ["5.2", "6.0", "6.1"],
    "3.13": ["5.2", "6.0", "6.1"],
    "3.14": ["5.2", "6.0", "6.1"],
}
CELLS = [(python, django) for python, versions in DJANGO.items() for django in versions]
DJANGO_MAIN = "Django @ https://github.com/django/django/archive/refs/heads/main.tar.gz"
NOT_TESTED = ("django_smsww", "*.egg-info", "build", "dist", ".git", ".nox", ".venv*", ".*_cache")
URLS = {
    "POSTGRESQL_URL": "postgres://user:password@127.0.0.1:5432/postgres",
    "MARIADB_URL": "mysql://root:password@127.0.0.1:3306/smsww",
}


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", "--diff", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, and the public surface with pyright too."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    python = session.run("python", "-c", "import sys; print(sys.executable)", silent=True)
    session.run("pyright", "-p", "tests/typing", "--pythonpath", str(python).strip())


@nox.session
@nox.parametrize("python,django", CELLS)
def tests(session: nox.Session, django: str) -> None:
    """Run the tests on SQLite, by Python and Django."""
    _run_tests(session, f"Django~={django}.0")


@nox.session(python="3.14")
def django_main(session: nox.Session) -> None:
    """Run the tests on Django's main branch, which may fail."""
    _run_tests(session, DJANGO_MAIN)


def _run_tests(session: nox.Session, django: str) -> None:
    session.install("-e", ".[test]", django)
    session.run("python", "-c", "import django, sys; print(sys.version, django.__version__)")
    session.run("pytest", "-q", *session.posargs, env={"DATABASE_URL": "sqlite://:memory:"})


@nox.session
@nox.parametrize(
    ("url", "extra", "markers"),
    [
        nox.param("POSTGRESQL_URL", "postgresql", "not external or postgresql", id="postgresql"),
        nox.param("MARIADB_URL", "mariadb", "not external", id="mariadb"),
    ],
)
def databases(session: nox.Session, url: str, extra: str, markers: str) -> None:
    """Run all tests on the server in POSTGRESQL_URL or MARIADB_URL.

    Some kill a PostgreSQL server of their own: they need its programs below /usr/lib/postgresql.
    """
    address = _address(session, url)
    session.install("-e", f".[test,{extra}]")
    options = session.posargs or ["-m", markers]
    session.run("pytest", "-q", *options, env={"DATABASE_URL": address})


@nox.session
def race(session: nox.Session) -> None:
    """Run workers of every kind on one queue, on POSTGRESQL_URL and a Redis that is stopped."""
    address = _address(session, "POSTGRESQL_URL")
    _need_program(session, "redis-server")
    session.install("-e", ".[test,postgresql]", "celery[redis]>=5.4")
    session.run("pytest", "-q", "-n", "0", "-m", "broker", env={"DATABASE_URL": address})


@nox.session
def browser(session: nox.Session) -> None:
    """Run the tests of the admin in Chromium; CHROMIUM and CHROMEDRIVER name other paths."""
    _need_program(session, os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    _need_program(session, os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    session.install("-e", ".[test]", "selenium>=4.20", "axe-playwright-python>=0.1.8")
    session.run("pytest", "-q", "-n", "0", "-m", "browser and not wheel", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site into build/docs; every warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "-n", "-q", "docs", "build/docs")


@nox.session
def package(session: nox.Session) -> None:
    """Build the package into dist/, and run the tests beside the installed wheel."""
    session.install("build>=1.2", "check-manifest>=0.50", "twine>=6.1")
    session.run("check-manifest")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    built = [str(path.resolve()) for path in Path("dist").iterdir()]
    session.run("twine", "check", "--strict", *built)
    [wheel] = [path for path in built if path.endswith(".whl")]
    session.install(f"django-smsww[test] @ file://{wheel}")
    # In a folder without the package of this checkout.
    folder = Path(session.create_tmp()) / "without-package"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(".", folder, ignore=shutil.ignore_patterns(*NOT_TESTED))
    session.chdir(folder)
    session.run("pytest", "-q", "-n", "0", "-m", "wheel and not browser")
    session.run("pytest", "-q", *session.posargs)


def _address(session: nox.Session, url: str) -> str:
    if not os.environ.get(url):
        session.error(f"Set {url} to a server for these tests, such as {URLS[url]}.")
    return os.environ[url]


def _need_program(session: nox.Session, program: str) -> None:
    if shutil.which(program) is None:
        session.error(f"This session needs {program}, and does not find it.")
