"""A project changes the admin of messages in a subclass, as with any ModelAdmin."""

import pytest
from django.contrib.admin import AdminSite, site
from django.core.exceptions import PermissionDenied
from django.urls import resolve

from django_smsww.admin import MessageAdmin
from django_smsww.admin.filters import StateFilter
from django_smsww.models import Message

from ..support.people import EVERYTHING, resend_page, staff

pytestmark = pytest.mark.django_db


class ProjectAdmin(MessageAdmin):
    list_display = ("created", "number", "excerpt", "total", "environment", "rank")
    list_filter = (StateFilter,)
    actions = ()

    def rank(self, message):
        return message.pk

    def has_resend_permission(self, request):
        return request.user.username == "boss"


@pytest.fixture
def ask(rf):
    """Return a function that makes a request of a member of staff."""

    def make(name, *permissions):
        request = rf.get("/")
        request.user = staff(*permissions, name=name)
        return request

    return make


@pytest.mark.parametrize(
    ("permissions", "columns"),
    [
        (EVERYTHING, ("created", "number", "excerpt", "total", "environment", "rank")),
        (("view_message",), ("created", "hidden_number", "hidden_text", "environment", "rank")),
    ],
)
def test_its_columns_are_shown_and_ours_stay_masked(ask, permissions, columns):
    admin = ProjectAdmin(Message, AdminSite())
    assert admin.check() == []
    assert admin.get_list_display(ask("ann", *permissions)) == columns
    assert admin.lookup_allowed("state", "NEW")
    assert not admin.lookup_allowed("tag", "otp")


def test_its_permission_counts_for_the_page_and_the_button(ask, make_message, monkeypatch):
    message = make_message(state="FAILED")
    admin = ProjectAdmin(Message, site)
    monkeypatch.setattr(site, "has_permission", lambda request: True)
    view = next(
        each.callback for each in admin.get_urls() if each.name == "django_smsww_message_resend"
    )
    which = resolve(resend_page(message)).kwargs
    with pytest.raises(PermissionDenied):
        view(ask("ann", *EVERYTHING), **which)
    assert view(ask("boss", "view_message"), **which).status_code == 200
