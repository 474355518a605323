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
    names = [each.rpartition(".")[2] for each in permissions]
    known = Permission.objects.filter(
        content_type__app_label__in=("django_smsww", "smsww_verification"), codename__in=names
    )
    assert len(known) == len(permissions)
    user.user_permissions.add(*known)
    return user


def browser_of(user, **options):
    """Return a test client in which this user is logged in."""
    client = Client(**options)
    client.force_login(user)
    return client


def admin_url(view, *args):
    """Return the address of a page of the app in the admin, such as "message_compose"."""
    return reverse(f"admin:django_smsww_{view}", args=args)


LIST = admin_url("message_changelist")


def page(message):
    return admin_url("message_change", message.pk)


def resend_page(message):
    return admin_url("message_resend", message.pk)


def selection(*rows, **extra):
    """Return the form of an action on these rows of a changelist."""
    return {"_selected_action": [row.pk for row in rows], **extra}


def listed(response):
    """Return the primary keys of the rows on a list."""
    return {row.pk for row in response.context["cl"].result_list}


def notices(response):
    """Return what the admin says above the page."""
    return [str(notice) for notice in response.context["messages"]]


def text_of(response):
    return response.content.decode()


def missing(response, *texts):
    """Return those of these texts that are not on the page."""
    return [text for text in texts if text not in text_of(response)]
