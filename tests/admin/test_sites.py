"""Admin sites of a project: one with some of our models, and one with a changed MessageAdmin."""

import re
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.urls import path

from django_smsww import State
from django_smsww.admin import CallbackAdmin, MessageAdmin
from django_smsww.admin.filters import StateFilter
from django_smsww.models import Callback, Message, Suspension
from django_smsww.models.viewer import HIDDEN

from ..conftest import NUMBER
from ..support.door import hear
from ..support.pages import one_of_each
from ..support.people import LIST, browser_of, listed, missing, staff, text_of
from ..urls import urlpatterns as plain


class EvenFilter(admin.SimpleListFilter):
    title, parameter_name = "even", "even"

    def lookups(self, request, model_admin):
        return [("yes", "Yes")]

    def queryset(self, request, queryset):
        return queryset.filter(segments__in=[2, 4]) if self.value() else queryset


class SegmentsFilter(admin.ListFilter):
    """One that has no `parameter_name`."""

    title, template = "segments", "admin/filter.html"

    def __init__(self, request, params, model, model_admin):
        super().__init__(request, params, model, model_admin)
        self.used_parameters |= {"most": params.pop("most")} if "most" in params else {}

    def has_output(self):
        return True

    def choices(self, changelist):
        return []

    def expected_parameters(self):
        return ["most"]

    def queryset(self, request, queryset):
        most = self.used_parameters.get("most")
        return queryset.filter(segments__lte=most[-1]) if most else queryset


@admin.display(description="shout")
def shout(message):
    return message.tag.upper()


class ProjectAdmin(MessageAdmin):
    date_hierarchy = "created_at"
    list_display = (
        "__str__",
        shout,
        "rank",
        "dry_run",
        "created_by__username",
        "recipient",
        "body",
        "total_price",
    )
    list_display_links = ("rank",)
    list_filter = (
        StateFilter,
        EvenFilter,
        SegmentsFilter,
        "tag",
        "dry_run",
        "recipient",
        "created_by",
        "created_by__username",
        ("created_at", admin.DateFieldListFilter),
        ("provider_id", admin.EmptyFieldListFilter),
    )
    search_fields = ("recipient", "tag", "^created_by__username", "=segments", "body")

    def rank(self, message):
        return f"no. {message.pk}"


messages, callbacks = AdminSite(name="messages"), AdminSite(name="callbacks")
messages.register(Message, ProjectAdmin)
callbacks.register(Callback, CallbackAdmin)
urlpatterns = [
    *plain,
    path("messages/", messages.urls),
    path("callbacks/", callbacks.urls),
]
OURS = "/messages/django_smsww/message/"
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def message(make_message):
    """A message with a callback that the banner tells of, while its alias is paused."""
    message = make_message(tag="otp", created_by=staff(name="bob"))
    hear(message, "SHREDDED")
    told = {"state": State.NEW, "segments": 2, "total_price": "0.14", "provider_id": None}
    Message.objects.filter(pk=message.pk).update(**told)
    Suspension.objects.get_or_create(alias="default", scope="alias")
    return message


def test_a_site_of_messages_alone_shows_every_page_without_links_to_the_others(
    browser, pages, message
):
    ours = [
        page.replace("/admin/", "/messages/") for page in one_of_each(pages) if "/message/" in page
    ]
    for address in (*ours, OURS, f"{OURS}{message.pk}/change/"):
        response = browser.get(address)
        assert response.status_code == 200, address
        links = re.findall(r'href="([^"]*)"', text_of(response))
        assert [
            link for link in links if re.search("^/admin|/(suspension|callback)/", link)
        ] == [], address
    assert not missing(
        browser.get(OURS),
        "Nothing is sent through",
        "callbacks came that this package could not read",
    )


def test_without_pages_of_batches_a_mass_send_leads_to_its_messages(browser, smsoutbox):
    recipients = f"{NUMBER}\n+393331234568"
    form = {"recipients": recipients, "body": "Hello", "alias": "default", "token": uuid4()}
    answer = browser.post(f"{OURS}compose/", form | {"_send": "yes"})
    assert answer.url == f"{OURS}?batch={Message.objects.first().batch}"
    assert len(listed(browser.get(answer.url))) == 2


def test_a_site_of_callbacks_alone_names_their_messages(browser, message):
    ours = "/callbacks/django_smsww/callback/"
    for address in (ours, f"{ours}{Callback.objects.get().pk}/change/"):
        response = browser.get(address)
        assert missing(response, str(message.reference), "/message/") == ["/message/"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=NEW", True),
        ("even=yes", True),
        ("most=1", False),
        ("most=2", True),
        ("tag=otp", True),
        ("tag__isnull=True", False),
        ("dry_run__exact=1", False),
        ("recipient=%2B393331234567", True),
        ("created_by__id__exact={user}", True),
        ("created_by__isnull=True", False),
        ("created_by__username=ann", False),
        ("created_at__gte=2001-01-01+00:00Z&created_at__lt=2002-01-01+00:00Z", False),
        ("created_at__year=2001", False),
        ("provider_id__isempty=0", False),
        ("q=ot", True),
        ("q=bo", True),
        ("q=ob", False),
        ("q=2", True),
        ("q=ello", True),
        ("q=%2B39333", True),
        ("q=4567", True),
        ("q=%2B39", True),
        ("q=hello&most=1", False),
        ("q=+", True),
    ],
)
def test_filters_and_search_fields_of_every_kind_narrow_the_list_down(
    browser, message, query, found
):
    response = browser.get(f"{OURS}?{query.format(user=message.created_by_id)}")
    assert listed(response) == ({message.pk} if found else set())


@pytest.mark.parametrize(
    "lookup",
    [
        "body__regex",
        "provider_id_x__in",
        "created_by__password__startswith",
        "created_by_id",
        "callbacks__payload__regex",
        "pk__lt",
    ],
)
def test_a_lookup_that_no_filter_declares_reads_nothing(browser, message, lookup):
    response = browser.get(f"{OURS}?{lookup}=1")
    assert response.status_code == 400 or response.url.endswith("?e=1")


def test_columns_of_every_kind_are_shown(browser, message):
    shown = ("OTP", f"no. {message.pk}</a>", "bob", NUMBER, "Hello", "0.14")
    response = browser.get(OURS)
    assert not missing(response, *shown)
    assert text_of(response).count("OTP") == 1


def test_numbers_texts_and_prices_in_them_stay_hidden(message):
    client = browser_of(staff("view_message", name="eve"))
    response = client.get(OURS)
    secrets = [NUMBER, "Hello", "0.14", "?recipient="]
    assert missing(response, HIDDEN, "bob", *secrets) == secrets
    assert client.get(f"{OURS}?recipient__startswith=%2B39").status_code == 400
    assert listed(client.get(f"{OURS}?q=Hello")) == set()
    assert listed(client.get(f"{OURS}?q=otp")) == {message.pk}


def test_typed_filters_are_no_forms_where_a_theme_has_one_for_all(browser, monkeypatch):
    form, part = '<form method="get" class="smsww-filter">', '<div class="smsww-filter">'
    assert missing(browser.get(LIST), form, part) == [part]
    monkeypatch.setattr(MessageAdmin, "list_filter_submit", True, raising=False)
    assert missing(browser.get(LIST), form, part) == [form]
