"""The guide to the API, word for word: a project with its settings, its URLs and its client."""

import pytest

from tests.support import guides, sample_project

TEST = """
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from django_smsww.models import Message


@pytest.mark.django_db(transaction=True)
def test_the_guide(live_server, capsys):
    ann = User.objects.create_user("ann")
    ann.user_permissions.set(
        Permission.objects.filter(codename__in=["view_message", "send_message"])
    )
    call_command("drf_create_token", "ann")
    token, site = ann.auth_token.key, live_server.url
    names = {"token": token, "site": site}
    exec(CLIENT, names)
    exec(OWN, {})
    answer = names["answer"]
    assert (answer.status_code, answer.json()["state"]) == (201, "NEW"), answer.text
    message = Message.objects.get()
    assert (message.recipient, message.created_by) == ("+393331234567", ann)
    assert names["api"].get(answer.headers["Location"]).json()["body"] is None
"""

LOCAL = """
SECURE_SSL_REDIRECT = False
STATIC_URL = "/static/"
"""


@pytest.mark.slow
def test_the_guide_to_the_api_works_in_a_project_of_its_own(tmp_path):
    block = {text.split()[1]: text for text in guides.blocks_of("api.md")}
    sample_project.make(
        tmp_path,
        f"CLIENT = {block['client.py']!r}\nOWN = {block['shop/api.py']!r}\n{TEST}",
        settings=f"{sample_project.SETTINGS}{LOCAL}{block['settings.py']}",
        urls=f"{sample_project.URLS}\n{block['urls.py']}",
    )
    assert "1 passed" in (output := sample_project.pytest(tmp_path)), output
