"""The guide to databases does what it says."""

from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from django_smsww import sms_backends
from django_smsww.models import Message

from ..support import guides, sample_project

GUIDE = "databases.md"


def test_no_block_is_left_out():
    names = [block.splitlines()[0].removeprefix("# ") for block in guides.blocks_of(GUIDE)]
    assert names == [
        "mysite/sqlite.py",
        "accounts/migrations/0002_user_invitation.py",
        "shop/users.py",
        "mysite/sms.py",
    ]


def test_the_options_of_sqlite_are_known_to_django(db, tmp_path):
    entry = guides.run_file(GUIDE, "mysite/sqlite.py")["DATABASES"]["default"]
    default = connections["default"].settings_dict
    wrapper = DatabaseWrapper(default | entry | {"NAME": tmp_path / "db.sqlite3"})
    with wrapper.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20_000,)
    assert wrapper.transaction_mode == "IMMEDIATE"
    wrapper.close()


MODELS = """
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    invitation = models.ForeignKey("django_smsww.Message", models.SET_NULL, null=True)
"""


@pytest.mark.slow
def test_a_user_may_refer_to_a_message_in_a_second_migration(tmp_path):
    second = guides.blocks_of(GUIDE)[1]
    users = sample_project.SETTINGS.replace('"rest_framework"', '"accounts", "rest_framework"')
    sample_project.make(tmp_path, "", settings=f"{users}\nAUTH_USER_MODEL = 'accounts.User'")
    migrations = tmp_path / "accounts" / "migrations"
    migrations.mkdir(parents=True)
    for folder in (migrations.parent, migrations):
        (folder / "__init__.py").touch()
    models = migrations.parent / "models.py"
    models.write_text(MODELS.replace("invitation =", "pass  #"))
    first = sample_project.run(tmp_path, "django", "makemigrations", "accounts", "-n", "initial")
    assert first.returncode == 0, first.stderr
    models.write_text(MODELS)
    (migrations / "0002_user_invitation.py").write_text(second)
    done = sample_project.run(tmp_path, "django", "migrate")
    assert done.returncode == 0, done.stderr
    check = sample_project.run(tmp_path, "django", "makemigrations", "accounts", "--check")
    assert check.returncode == 0, check.stdout


def test_messages_are_detached_from_their_user(db, make_message):
    one, two = (get_user_model().objects.create_user(name) for name in ("ann", "bob"))
    rows = [make_message(created_by=user) for user in (one, one, two)]
    guides.run_file(GUIDE, "shop/users.py")["detach_messages"](one)
    kept = Message.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    assert list(kept.values_list("created_by", flat=True)) == [None, None, two.pk]


@pytest.mark.parametrize("schema", ["acme", "public"])
def test_a_tenant_has_a_callback_url_at_its_own_domain(settings, monkeypatch, schema):
    domain = SimpleNamespace(domain="acme.example.com")
    tenant = SimpleNamespace(get_primary_domain=lambda: domain)
    monkeypatch.setenv("SMS_TOKEN", "a-token")
    for name, value in (("tenant", tenant), ("schema_name", schema)):
        monkeypatch.setattr(connections["default"], name, value, raising=False)
    resolve = guides.run_file(GUIDE, "mysite/sms.py")["resolve"]
    settings.SMSWW = resolve
    if schema == "public":
        assert "default" not in sms_backends
    else:
        options = resolve("default")["OPTIONS"]
        assert options["callback_url"] == "https://acme.example.com/sms/callback/"
        assert sms_backends["default"].environment == "acme.example.com"
