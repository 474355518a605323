"""The list of messages over REST with a million messages, beside a plain view of REST framework.

Two databases are filled, one with 10,000 messages and one with 1,000,000. Pages of 50 are read from
both, in turn, by a user who sees everything and by one from whom numbers, texts and prices are
hidden. The plain view is a `ListAPIView` with the same fields, page size and cursor, which asks
for no permission, hides nothing and has no filters.

    DATABASE_URL=postgres://… python -m tests.benchmarks.api
"""

import os
from base64 import urlsafe_b64encode
from typing import Any

from .admin import SMALL, Chosen, opening, second_database
from .harness import Benchmark, Candidate, use_database
from .many_rows import fill

PAGES, ROUNDS = 4, 25
"""A page is read so often in a round. Many short rounds bear a busy machine better than a few."""


def plain_view() -> Any:
    """Return the view that one writes first."""
    from rest_framework.generics import ListAPIView
    from rest_framework.pagination import CursorPagination
    from rest_framework.serializers import ModelSerializer

    from django_smsww.contrib.api.serializers import MessageSerializer
    from django_smsww.models import Message

    class PlainSerializer(ModelSerializer):
        class Meta:
            model = Message
            fields = MessageSerializer.Meta.fields

    class PlainPagination(CursorPagination):
        ordering = "-pk"
        page_size = 50

    class PlainView(ListAPIView):
        queryset = Message.objects.all()
        serializer_class = PlainSerializer
        pagination_class = PlainPagination

    return PlainView.as_view()


def browser(alias: str, *permissions: str) -> Any:
    """Return a client of a user with these permissions, or with all if none are named."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    Chosen.alias = alias
    user = User.objects.create_user(f"user-{len(permissions)}", is_superuser=not permissions)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def reading(client: Any, alias: str, address: str) -> Candidate:
    """Return what reads a page some times, and returns the seconds of the quickest.

    Other processes of the machine make a page slower, and never quicker.
    """
    open_page = opening(client, alias, address)

    def read() -> float:
        return min(open_page() for _ in range(PAGES))

    read()  # the first time fills caches
    return read


def addresses(count: int) -> dict[str, str]:
    """Return the pages that are read, with what is in a history of so many messages."""
    cursor = urlsafe_b64encode(f"p={count // 2}".encode()).decode()
    return {
        "first page": "/api/messages/",
        "middle page": f"/api/messages/?cursor={cursor}",
        "a number": f"/api/messages/?recipient=%2B39333{count // 2:07}",
        "a state": "/api/messages/?state=NEW",
        "a tag": "/api/messages/?tag=reports",
    }


def main() -> None:
    """Fill, read, print."""
    bench = Benchmark("API", __doc__ or "", unit="s", count=ROUNDS)
    many, few = bench.size(1_000_000, small=1000), bench.size(10_000, small=500)
    with (
        use_database(
            also=["django_filters"],
            ROOT_URLCONF="tests.benchmarks.api_urls",
            DATABASE_ROUTERS=["tests.benchmarks.admin.Chosen"],
        ) as vendor,
        second_database(),
    ):
        if vendor == "postgresql":
            run(bench, many, few)
        else:
            bench.skip("the list over REST", "DATABASE_URL names no PostgreSQL")
    bench.finish()


def run(bench: Benchmark, many: int, few: int) -> None:
    for alias, count in ((SMALL, few), ("default", many)):
        fill(url_of(alias), count, every=10)
    clients = {alias: browser(alias) for alias in ("default", SMALL)}
    few_addresses = addresses(few)
    for name, address in addresses(many).items():
        candidates = {
            f"{name}, {many:,}": reading(clients["default"], "default", address),
            f"{name}, {few:,}": reading(clients[SMALL], SMALL, few_addresses[name]),
        }
        rounds = bench.rounds(candidates)
        bench.at_most(f"{name}: many / few", rounds.ratio(*candidates), 1.3)
    compare(bench, "all shown", clients["default"])
    compare(bench, "masked", browser("default", "view_message"))


def compare(bench: Benchmark, name: str, client: Any) -> None:
    """Compare the list with the plain view, for the user of this client."""
    candidates = {
        f"{name}, plain": reading(client, "default", "/plain/"),
        f"{name}, ours": reading(client, "default", "/api/messages/"),
    }
    rounds = bench.rounds(candidates)
    bench.at_least(f"{name}: rate of ours / plain", rounds.ratio(*candidates), 0.5)


def url_of(alias: str) -> str:
    """Return the URL of a database of this run, for other processes."""
    from django.db import connections

    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    return f"{server}/{connections[alias].settings_dict['NAME']}"


if __name__ == "__main__":
    # The router is found by the name of this module, so that must be the one that runs.
    from tests.benchmarks.api import main as run_main

    run_main()
