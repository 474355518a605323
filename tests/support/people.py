"""Members of staff for the tests of the admin, and what they see in their browsers."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

EVERYTHING = (
    "view_message",
    "view_callback",
    "view_suspension",
    "view_message_content",
    "view_message_costs",
    "resend_message",
    "refresh_message",
    "cancel_message",
    "settle_message",
    "export_message",
    "pause_message",
    "send_message",
    "mass_send_message",
)


def staff(*permissions, name="ann"):
    """Return a new member of staff with these permissions of the app."""
    user = get_user_model().objects.create_user(name, password="secret", is_staff=True)
    known = Permission.objects.filter(
        content_type__app_label="django_smsww", codename__in=permissions
    )
    assert len(known) == len(permissions)
    user.user_permissions.set(known)
    return user


def browser_of(user, **options):
    """Return a test client in which this user is logged in."""
    client = Client(**options)
    client.force_login(user)
    return client


def page(message):
    return reverse("admin:django_smsww_message_change", args=(message.pk,))


def resend_page(message):
    return reverse("admin:django_smsww_message_resend", args=(message.pk,))


def listed(response):
    """Return the primary keys of the rows on a list."""
    return {row.pk for row in response.context["cl"].result_list}


def notices(response):
    """Return what the admin says above the page."""
    return [str(notice) for notice in response.context["messages"]]


def text_of(response):
    return response.content.decode()
