"""What `manage.py check` says of the SMSWW setting."""

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.checks import Tags, registry, run_checks
from django.core.management import call_command
from django.db import connection
from django.test.utils import override_script_prefix
from django.urls import path

from django_smsww import checks

from .support import guides

PACKAGE = Path(checks.__file__).parents[1]
MODULES = {each.__name__ for each in (checks.aliases, checks.callback_urls, checks.database)}
LOCMEM = "django_smsww.backends.locmem.SMSBackend"
DUMMY = "django_smsww.backends.dummy.SMSBackend"
CALLBACK = "https://sms.example.com/sms/callback/"
GOOD = {"token": "s3cr3t", "callback_url": CALLBACK}


def callback(request):
    """Never called."""


def other(request):
    """Never called."""


callback.view_class = SimpleNamespace(smsww_callback=True)  # the mark of our view's class
urlpatterns = [path("sms/callback/", callback), path("other/", other)]


@pytest.fixture(autouse=True)
def _urlconf(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def found(settings):
    """Return what the checks find with these options in the entry "alerts"."""

    def find(*, deploy=False, backend=None, **options):
        entry = {"OPTIONS": options} | ({"BACKEND": backend} if backend else {})
        settings.SMSWW = {"default": {"BACKEND": LOCMEM}, "alerts": entry}
        return run(deploy=deploy)

    return find


def run(*, deploy=False):
    messages = run_checks(tags=[checks.TAG], include_deployment_checks=deploy)
    assert all(message.hint for message in messages)
    assert "s3cr3t" not in repr(messages)
    return {
        message.id.removeprefix("smsww."): message
        for message in messages
        if not (message.id == "smsww.W003" and "'default'" in message.msg)
    }


@pytest.mark.parametrize("deploy", [False, True])
def test_good_entry_has_nothing_to_say(found, deploy):
    assert found(deploy=deploy, **GOOD) == {}


CALLBACK_URLS = {
    "http://sms.example.com/sms/callback/": {"E004"},
    "http://127.0.0.1:8000/sms/callback/": set(),
    "http://localhost:8000/sms/callback/": set(),
    "https://example.com/other/": {"W002"},
    "https://example.com/nowhere/": {"W002"},
    "https://example.com": {"W002"},
    "https://example.com/sms/callback/?a=b": set(),
}


@pytest.mark.parametrize(
    ("options", "identifiers"),
    [
        ({"tokn": "s3cr3t", **GOOD}, {"E001"}),
        ({"concurrency": "many", **GOOD}, {"E001"}),
        ({"callback_url": CALLBACK}, {"E002"}),
        (GOOD | {"token": ""}, {"E002"}),
        *((GOOD | {"sender": sender}, {"E003"}) for sender in ("12345", "Acme Limited")),
        *((GOOD | {"callback_url": url}, ids) for url, ids in CALLBACK_URLS.items()),
        ({"token": "s3cr3t", "environment": "staging"}, {"W001"}),
        ({"token": "s3cr3t"}, {"W001", "W005"}),
        ({"backend": "nowhere.Backend"}, {"E001"}),
        ({"backend": LOCMEM}, set()),
        ({"backend": LOCMEM, "sender": "12345"}, {"E003"}),
    ],
)
def test_wrong_options_are_found(found, options, identifiers):
    messages = found(**options)
    assert set(messages) == identifiers
    assert all("SMSWW['alerts']" in message.msg for message in messages.values())


@pytest.mark.parametrize(
    ("options", "identifiers"),
    [
        *(({"backend": backend}, {"W003"}) for backend in (LOCMEM, DUMMY)),
        *((GOOD | {"host": h}, {"W004"}) for h in ("http://127.0.0.1:8010", "https://localhost")),
        (GOOD | {"redirect_to": "+393331234567"}, {"W008"}),
        (GOOD | {"allowed_recipients": ["+393331234567"]}, {"W008"}),
        *((GOOD | {"host": h}, set()) for h in ("sandbox", "https://sms.example.com")),
    ],
)
def test_what_keeps_messages_from_telephones_is_found_on_deploy_alone(found, options, identifiers):
    assert set(found(deploy=True, **options)) == identifiers
    assert set(found(**options)) == set()


def test_absent_callback_url_names_the_consequence(found):
    assert "stays NEW (accepted)" in found(token="s3cr3t")["W001"].hint


@pytest.mark.parametrize(
    "value",
    [
        *({"default": entry} for entry in (None, "console", {"OPTIONS": "t"}, {"OPTIONS": None})),
        *(["default"], "nowhere.resolve", 5),
    ],
)
def test_setting_or_entry_of_the_wrong_shape_is_one_error_and_no_crash(settings, value):
    settings.SMSWW = value
    assert set(run()) == {"E001"}


def test_missing_setting_is_a_warning(settings):
    del settings.SMSWW
    assert set(run()) == {"W006"}


def test_resolver_is_not_asked(settings):
    def resolver(alias):
        raise AssertionError("it might ask the database")

    resolver.aliases = resolver
    settings.SMSWW = resolver
    assert run() == {}


@pytest.mark.parametrize("urlconf", ["nowhere.urls", "tests.settings", None])
def test_urlconf_that_cannot_be_read_is_no_matter_of_ours(found, settings, urlconf):
    if urlconf:
        settings.ROOT_URLCONF = urlconf
    else:
        del settings.ROOT_URLCONF
    assert found(**GOOD) == {}


@pytest.mark.parametrize("prefix", ["/", "/shop/", "/a/shop/"])
def test_a_prefix_of_the_server_is_no_fault(found, prefix):
    """Before the first request only FORCE_SCRIPT_NAME is known."""
    url = "https://example.com/shop/sms/callback/"
    with override_script_prefix(prefix):
        assert found(**GOOD | {"callback_url": url}) == {}
        assert set(found(**GOOD | {"callback_url": f"{url}more/"})) == {"W002"}


@pytest.mark.parametrize(
    ("path", "identifiers"),
    [("it/sms", set()), ("sms", set()), ("shop/it/sms", set()), ("it/mms", {"W002"})],
)
def test_a_callback_url_may_have_a_language(found, settings, path, identifiers):
    settings.LANGUAGES, settings.LANGUAGE_CODE = [("en", "English"), ("it", "Italian")], "en"
    settings.ROOT_URLCONF = urlconf = ModuleType("urls")
    urlconf.urlpatterns = i18n_patterns(*urlpatterns, prefix_default_language=False)
    url = f"https://example.com/{path}/callback/"
    assert set(found(**GOOD | {"callback_url": url})) == identifiers


NEAR = ["127.0.0.1", "[::1]", "10.0.0.8", "192.168.1.2", "169.254.1.1", "[fd00::1]"]


@pytest.mark.parametrize("host", [*NEAR, "localhost", "web", "site.local", "nas.lan", "a.internal"])
@pytest.mark.parametrize("gateway", ["production", "sandbox"])
def test_a_callback_url_that_the_gateway_cannot_reach_is_found_on_deploy(found, host, gateway):
    options = GOOD | {"callback_url": f"https://{host}/sms/callback/", "host": gateway}
    assert (set(found(deploy=True, **options)), set(found(**options))) == ({"W007"}, set())


def test_a_simulator_and_a_gateway_of_ones_own_reach_what_is_near(found):
    options = GOOD | {"callback_url": "http://localhost:8000/sms/callback/"}
    assert set(found(deploy=True, **options)) == {"W007"}
    assert set(found(deploy=True, **options, host="https://sms.openapi.com/")) == {"W007"}
    assert set(found(deploy=True, **options, host="https://mock.internal")) == set()
    assert set(found(deploy=True, **options, host="http://127.0.0.1:8010")) == {"W004"}


@pytest.mark.django_db(databases=[])
def test_no_check_asks_the_database_or_the_network(found, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)
    monkeypatch.setattr("socket.getaddrinfo", None)
    assert set(found(deploy=True, **GOOD | {"host": "https://nowhere.invalid"})) == set()


def test_every_check_has_its_own_identifier_and_runs_when_its_docstring_says():
    usual, every = (
        {each for each in registry.registry.get_checks(deploy) if each.__module__ in MODULES}
        for deploy in (False, True)
    )
    assert every - usual == {each for each in every if "(deploy)" in each.__doc__}
    assert {each for each in every if Tags.database in each.tags} == {
        each for each in every if "(database)" in each.__doc__
    }
    assert len({each.__doc__.partition(":")[0] for each in every}) == len(every) == 17


def test_command_runs_the_checks(settings, capsys):
    settings.SMSWW = {}
    call_command("check", tags=[checks.TAG])
    assert "smsww.W006" in capsys.readouterr().err
    assert checks.TAG not in vars(Tags).values()


@pytest.mark.skipif(connection.vendor != "mysql", reason="the others know every time zone")
@pytest.mark.parametrize(("zone", "count"), [("Europe/Rome", 0), ("UTC", 0), ("Mars/Olympus", 1)])
def test_mariadb_without_its_time_zones_is_warned_of(db, monkeypatch, zone, count):
    monkeypatch.setattr("django.utils.timezone.get_default_timezone_name", lambda: zone)
    found = run_checks(tags=[Tags.database], databases=["default"])
    assert [message.id for message in found].count("smsww.W011") == count


@pytest.fixture
def three_bytes(transactional_db):
    """Give the texts the character set that MariaDB calls utf8; other databases have none."""
    change = "ALTER TABLE django_smsww_message MODIFY body longtext CHARACTER SET {} NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(change.format("utf8mb3"))
        yield
        cursor.execute(change.format("utf8mb4"))


@pytest.mark.skipif(connection.vendor != "mysql", reason="the others store every character")
def test_three_byte_utf8_of_mariadb_is_warned_of(three_bytes):
    [found] = [each for each in run_checks(databases=["default"]) if each.id == "smsww.W012"]
    assert "table of messages" in found.msg
    assert "utf8mb4" in found.hint


class Elsewhere:
    """A router that keeps the history in a database of its own."""

    def db_for_write(self, model, **hints):
        return "history" if model._meta.app_label == "django_smsww" else None


def test_a_history_in_another_database_than_the_users_is_an_error(settings):
    settings.SMSWW = {"default": {"BACKEND": LOCMEM}}
    assert run() == {}
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    assert set(run()) == {"E005"}


def test_the_guide_lists_every_check():
    listed = re.findall(r"^\| `(smsww\.[EW]\d+)` \|", guides.text_of("checks.md"), re.MULTILINE)
    sources = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert sorted(listed) == sorted(set(re.findall(r'id="(smsww\.[EW]\d+)"', sources)))
