"""Resend the undelivered messages of a batch or of a filtered changelist, through the queue."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidSMSBackend
from ...models import Message, MessageQuerySet
from ...models.resend_report import ResendReport
from ...models.viewer import Viewer
from ...reconcile.refreshing import ALIAS_UNUSABLE
from ...sending.resending import to_resend
from ..base import ReadOnlyAdmin
from ..formatting import batch_url
from ..suspension import banner
from .base import size_of

MOST = 10_000
"""The largest number of messages for one resend. The command `smsww_resend` has no limit."""


@admin.action(
    permissions=["resend_all"],
    description=_("Resend undelivered messages through the queue (selection or whole list)"),
)
def resend_all(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Show the number and costs of the messages. After confirmation, put them into the queue."""
    newest = request.POST.get("newest", "")
    if newest.isdecimal() and len(newest) < 19:
        queryset = queryset.filter(pk__lte=int(newest))  # none that is newer than the question
    # Select the rows of the list by keys: the search may have joined other tables.
    rows = to_resend(Message.objects.filter(pk__in=queryset.order_by().values("pk")))
    if problem := _problem(rows.count()):
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    if not newest:
        return _ask(model_admin, request, rows)
    try:
        report = rows.resend(created_by=request.user)
    except InvalidSMSBackend:
        model_admin.message_user(request, gettext(ALIAS_UNUSABLE), messages.ERROR)
        return None
    _tell(model_admin, request, report)
    return HttpResponseRedirect(batch_url(model_admin.admin_site.name, report.batch))


def _problem(count: int) -> str:
    if not count:
        return gettext("No undelivered message on this list can be resent.")
    if count > MOST:
        text = gettext("At most %d messages can be resent here at once; use smsww_resend for more.")
        return text % MOST
    return ""


def _ask(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: MessageQuerySet) -> HttpResponse:
    return model_admin.render_page(
        request,
        "message/resend_all.html",
        title=gettext("Resend these messages?"),
        newest=rows.aggregate(newest=Max("pk"))["newest"],
        checkbox_name=ACTION_CHECKBOX_NAME,
        chosen=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
        **size_of(rows, with_cost=Viewer.of(request).sees_costs),
        **banner(request),
    )


def _tell(model_admin: ReadOnlyAdmin, request: HttpRequest, report: ResendReport) -> None:
    """Show the user the result, and log one entry for the whole batch."""
    say, count = model_admin.message_user, report.queued
    text = ngettext("%d message was queued.", "%d messages were queued.", count)
    say(request, text % count, messages.SUCCESS)
    if report.failed:
        text = ngettext("%d failed immediately.", "%d failed immediately.", report.failed)
        say(request, text % report.failed, messages.WARNING)
    # Any of them, without an order: for "the first", PostgreSQL may walk through the whole table.
    for row in Message.objects.filter(batch=report.batch)[:1]:
        deed = gettext("Resent a list as a batch")
        model_admin.log(request, row, deed, name=report.batch, flag=ADDITION)
