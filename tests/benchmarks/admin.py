"""The pages of the history with a million messages, beside the stock ModelAdmin (P9).

Two databases are filled, one with 10,000 messages and one with 1,000,000, each with two callbacks a
message. Every page, filter and search is opened in both of them, and in a stock `ModelAdmin` of the
same columns, filters and searched fields; they take turns. Printed are the queries of each page,
those on the table of messages among them, and its milliseconds.

    python -m tests.benchmarks.admin            # on SQLite, or on what DATABASE_URL names
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .harness import Benchmark, use_database

SMALL = "small"


@dataclass
class Page:
    """One page: its address here, and that of its like in the stock admin, if there is one.

    Attributes:
        most: how many times as long it may take with a million messages as with 10,000.
        quicker: how many times as long the stock admin must take.
    """

    name: str
    path: str
    stock: str = ""
    most: float = 0
    quicker: float = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    queries: int = 0
    on_messages: int = 0

    @property
    def is_list(self) -> bool:
        """Whether it is the list of messages, under whatever filter."""
        return self.path.partition("?")[0] == "django_smsww/message/"


def pages(count: int, vendor: str) -> list[Page]:
    """Return all that is opened, with what is in a history of so many messages."""
    from django.utils import timezone

    from django_smsww.admin.base import MOST_LISTED

    from .history import BATCH, number_of, provider_id_of, reference_of

    one = count * 3 // 4
    number = number_of(one, count)
    week = f"since={timezone.localdate() - timedelta(days=6)}"
    listed = min(count, MOST_LISTED) // 50
    # So many that the page is full in either database: to render the rows is what takes longest.
    first = number[1 : 8 if count > 100_000 else 6]
    ours = [
        ("first page", "", "", 1.3, 5 if vendor == "postgresql" else 30),
        ("middle page", f"?p={listed // 2}", f"?p={count // 100}", 2, 0),
        ("last page", f"?p={listed}", f"?p={count // 50}", 1.3, 0),
        ("state: delivered", "?state=DELIVERED", "?state__exact=DELIVERED", 0, 0),
        ("state: unknown", "?state=UNKNOWN", "?state__exact=UNKNOWN", 0, 0),
        ("not delivered", "?state=undelivered", "", 0, 0),
        ("needs attention", "?attention=yes", "", 0, 0),
        ("overdue", "?attention=overdue", "", 0, 0),
        ("past 7 days", "?period=7", "", 0, 0),
        ("dates", f"?{week}", "", 0, 0),
        ("tag", "?tag=campaign-7", "?tag=campaign-7", 0, 0),
        ("country", "?country=ES", "?country=ES", 0, 0),
        ("dry run", "?dry_run=yes", "?dry_run__exact=1", 0, 0),
        ("alias", "?alias=default", "?alias=default", 0, 0),
        ("state and country", "?state=FAILED&country=FR", "?state__exact=FAILED&country=FR", 0, 0),
        ("number", f"?q=%2B{number[1:]}", f"?q=%2B{number[1:]}", 1.3, 50),
        ("national number", f"?q={number[3:6]}+{number[6:]}", f"?q={number[3:]}", 1.3, 50),
        ("first digits", f"?q=%2B{first}", f"?q={first}", 1.3, 0),
        ("country's digits", "?q=%2B39", "?q=39", 1.3, 0),
        ("last digits", f"?q={number[-6:]}", f"?q={number[-6:]}", 1.3, 50),
        ("provider id", f"?q={provider_id_of(one)}", f"?q={provider_id_of(one)}", 1.3, 0),
        ("reference", f"?q={reference_of(one)}", "", 1.3, 0),
        ("key", "?q=order-103", "?q=order-103", 1.3, 0),
        ("nothing found", "?q=%2B399999999999", "?q=399999999999", 1.3, 50),
        ("text of a week", f"?q=parcel&{week}", "?q=parcel", 0, 0),
    ]
    name = "django_smsww/message/"
    return [
        *(
            Page(what, name + query, name + stock if stock or not query else "", most, quicker)
            for what, query, stock, most, quicker in ours
        ),
        Page("message", f"{name}{one}/change/", f"{name}{one}/change/", 1.3),
        Page("callbacks", "django_smsww/callback/", "django_smsww/callback/", 1.3),
        Page("callbacks, a reference", f"django_smsww/callback/?q={reference_of(one)}"),
        Page("callback", "django_smsww/callback/7/change/", most=1.3),
        Page("batch of 10,000", f"django_smsww/batch/{BATCH}/", most=1.3),
        Page("messages of a batch", f"{name}?batch={BATCH}"),
        Page("suspensions", "django_smsww/suspension/"),
        Page("do-not-send list", "django_smsww/suppression/"),
        Page("statistics", f"{name}statistics/"),
        Page("write a message", f"{name}compose/", most=1.3),
        # Not `one`, whose alias is of the tenth that no setting has.
        Page("question before resending", f"{name}{one - 1}/resend/", most=1.3),
    ]


def stock_site() -> Any:
    """Return an admin site as one writes it first: the same columns, filters and searches."""
    from django.contrib import admin

    from django_smsww.models import Callback, Message

    class StockAdmin(admin.ModelAdmin):
        # Ours are found by the names of the models.
        change_list_template = "admin/change_list.html"
        change_form_template = "admin/change_form.html"
        list_per_page = 50

    class MessageAdmin(StockAdmin):
        list_display = (
            "created_at",
            "recipient",
            "state",
            "body",
            "segments",
            "total_price",
            "tag",
            "alias",
            "created_by",
        )
        date_hierarchy = "created_at"
        list_filter = ("state", "created_at", "tag", "country", "dry_run", "alias")
        list_select_related = ("created_by",)
        search_fields = ("recipient", "body", "provider_id", "key")
        raw_id_fields = ("created_by", "resend_of")
        ordering = ("-created_at",)

    class CallbackAdmin(StockAdmin):
        list_display = ("received_at", "state", "outcome", "source", "message", "times")
        list_filter = ("received_at",)
        raw_id_fields = ("message",)
        ordering = ("-received_at",)

    site = admin.AdminSite("stock")
    site.register(Message, MessageAdmin)
    site.register(Callback, CallbackAdmin)
    return site


class Chosen:
    """A router that leads everything to the database that is measured."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return Chosen.alias

    db_for_write = db_for_read

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


@contextmanager
def second_database() -> Iterator[None]:
    """Make one more database beside the one that is in use."""
    from django.db import connections

    first = connections["default"].settings_dict
    name = f"{first['NAME']}_{SMALL}".replace(".sqlite3", "") + (
        ".sqlite3" if str(first["NAME"]).endswith(".sqlite3") else ""
    )
    connections.settings[SMALL] = {**first, "NAME": name, "TEST": {**first["TEST"], "NAME": name}}
    Chosen.alias = SMALL
    connections[SMALL].creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connections[SMALL].creation.destroy_test_db(name, verbosity=0)


def browser(alias: str) -> Any:
    """Return a client in which somebody who may do everything is logged in."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    Chosen.alias = alias
    user = get_user_model().objects.create_superuser("ann")
    client = Client()
    client.force_login(user)
    return client


def opening(client: Any, alias: str, address: str) -> Callable[[], float]:
    """Return what opens a page and says how many seconds that took."""

    def open_page() -> float:
        Chosen.alias = alias
        begun = time.perf_counter()
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        return time.perf_counter() - begun

    return open_page


def count_queries(page: Page, open_page: Callable[[], float]) -> None:
    """Note how many queries a page makes, and how many of them read messages."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        open_page()
    page.queries = len(queries)
    page.on_messages = sum('FROM "django_smsww_message"' in one["sql"] for one in queries)


def measure(bench: Benchmark, page: Page, small: Page, clients: dict[str, Any]) -> None:
    """Open a page in turn with many messages, with few, and in the stock admin."""
    candidates = {
        "many": opening(clients["default"], "default", f"/admin/{page.path}"),
        "few": opening(clients[SMALL], SMALL, f"/admin/{small.path}"),
    }
    if page.stock:
        candidates["stock"] = opening(clients["default"], "default", f"/stock/{page.stock}")
    for candidate in candidates.values():  # the first time reads templates, and fills caches
        candidate()
    count_queries(page, candidates["many"])
    for number in range(bench.count):
        names = list(candidates)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            page.seconds.setdefault(name, []).append(candidates[name]())


def judge(bench: Benchmark, page: Page) -> None:
    """Compare within each round."""

    def ratio(one: str, other: str) -> list[float]:
        return [a / b for a, b in zip(page.seconds[one], page.seconds[other], strict=True)]

    if page.most:
        bench.at_most(f"{page.name}: many / few", ratio("many", "few"), page.most)
    if page.quicker:
        bench.at_least(f"{page.name}: stock / ours", ratio("stock", "many"), page.quicker)
    if page.name == "statistics":
        bench.at_most("statistics: seconds", page.seconds["many"], 1)


def line(page: Page) -> str:
    """Return what is printed of a page, times in milliseconds."""
    times = [
        f"{statistics.median(page.seconds[name]) * 1000:9.1f}" if name in page.seconds else " " * 9
        for name in ("many", "few", "stock")
    ]
    return f"  {page.name:<28}{page.queries:>4}{page.on_messages:>4} {' '.join(times)}"


def main() -> None:
    """Fill, open everything, print."""
    bench = Benchmark("P9", __doc__ or "")
    many, few = bench.size(1_000_000, small=500), bench.size(10_000, small=100)
    with (
        use_database(
            ROOT_URLCONF="tests.benchmarks.urls", DATABASE_ROUTERS=["tests.benchmarks.admin.Chosen"]
        ) as vendor,
        second_database(),
    ):
        run(bench, vendor, many, few)
    bench.finish()


def run(bench: Benchmark, vendor: str, many: int, few: int) -> None:
    from .history import make_history

    for alias, count in ((SMALL, few), ("default", many)):
        Chosen.alias = alias
        begun = time.perf_counter()
        make_history(count, alias)
        print(f"  {count:,} messages on {vendor}: {time.perf_counter() - begun:.0f} s", flush=True)
    clients = {alias: browser(alias) for alias in ("default", SMALL)}
    statistics_page = opening(
        clients["default"], "default", "/admin/django_smsww/message/statistics/"
    )
    print(f"  statistics for the first time: {statistics_page():.2f} s")
    print(f"  {'':<28}{'':>4}{'of':>4} {f'{many:,}':>9} {f'{few:,}':>9} {'stock':>9}")
    print(f"  {'':<28}{'all':>4}{'msg':>4} {'ms':>9} {'ms':>9} {'ms':>9}", flush=True)
    most = ("", 0)
    for page, small in zip(pages(many, vendor), pages(few, vendor), strict=True):
        measure(bench, page, small, clients)
        judge(bench, page)
        print(line(page), flush=True)
        if page.is_list and page.on_messages > most[1]:
            most = page.name, page.on_messages
    bench.at_most(f"queries on messages, the most ({most[0]})", [most[1]], 2)


if __name__ == "__main__":
    # The router is found by the name of this module, so that must be the one that runs.
    from tests.benchmarks.admin import main as run_main

    run_main()
