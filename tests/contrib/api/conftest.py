"""Clients of the API, and what they may do."""

from threading import Barrier, Thread

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests.support.people import staff

MESSAGES = "/api/messages/"
READS = ("view_message", "view_message_content", "view_message_costs", "view_callback")


@pytest.fixture(autouse=True)
def api_urls(settings):
    settings.ROOT_URLCONF = "tests.contrib.api.urls"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_filters"]


@pytest.fixture
def client_of(db):
    """Return a function that makes the client of a new user with these permissions."""

    def make(*permissions, name="ann"):
        client = APIClient()
        client.user = staff(*permissions, name=name)
        client.force_authenticate(client.user)
        return client

    return make


@pytest.fixture
def reader(client_of):
    return client_of(*READS)


def page_of(message):
    return f"{MESSAGES}{message.reference}/"


def at_once(user, *requests):
    """Make these requests at one moment, each in a thread with a client; return the answers."""
    start, answers = Barrier(len(requests)), [None] * len(requests)

    def ask(number, request):
        client = APIClient()
        client.force_authenticate(user)
        start.wait()
        try:
            answers[number] = request(client)
        finally:
            connection.close()

    threads = [Thread(target=ask, args=each) for each in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
