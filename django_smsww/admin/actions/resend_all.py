"""Resend a whole filtered list through the queue, for example after an outage."""

from __future__ import annotations

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
from ...sending.resending import estimate, to_resend
from ..base import ReadOnlyAdmin
from ..formatting import money, named_countries
from .resend import ALIAS_UNUSABLE

MOST = 10_000
"""More would keep the page waiting; `smsww_resend` has no limit."""


@admin.action(
    permissions=["resend_all"],
    description=_("Resend undelivered messages through the queue (selection or whole list)"),
)
def resend_all(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Count and price the messages and ask; queue them when the form is confirmed."""
    newest = request.POST.get("newest", "")
    if newest.isdecimal() and len(newest) < 19:
        queryset = queryset.filter(pk__lte=int(newest))  # not those that came after the question
    # A copy of the list by its keys: its search may have joined other tables.
    rows = to_resend(Message.objects.filter(pk__in=queryset.order_by().values("pk")))
    if problem := _problem(rows.count()):
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    if not newest:
        return _ask(model_admin, request, rows)
    try:
        report = rows.resend(created_by=request.user)
    except InvalidSMSBackend:
        model_admin.message_user(request, str(ALIAS_UNUSABLE), messages.ERROR)
        return None
    _tell(model_admin, request, report)
    return HttpResponseRedirect(model_admin.view_url("batch", report.batch))


def _problem(count: int) -> str:
    if not count:
        return gettext("Nothing on this list can be resent.")
    if count > MOST:
        text = gettext("At most %d messages can be resent here at once; use smsww_resend for more.")
        return text % MOST
    return ""


def _ask(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: MessageQuerySet) -> HttpResponse:
    found = estimate(rows)
    return model_admin.render_page(
        request,
        "message/resend_all.html",
        title=gettext("Resend these messages?"),
        newest=rows.aggregate(newest=Max("pk"))["newest"],
        checkbox_name=ACTION_CHECKBOX_NAME,
        chosen=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
        viewer=Viewer.of(request),
        found=found,
        is_priced=found.unpriced < found.messages,
        cost=money(found.cost),
        countries=named_countries(found.countries),
    )


def _tell(model_admin: ReadOnlyAdmin, request: HttpRequest, report: ResendReport) -> None:
    """Say what was done, and log it once: the batch names the messages."""
    say, count = model_admin.message_user, report.queued
    text = ngettext("%d message was queued.", "%d messages were queued.", count)
    say(request, text % count, messages.SUCCESS)
    if report.failed:
        text = ngettext("%d failed immediately.", "%d failed immediately.", report.failed)
        say(request, text % report.failed, messages.WARNING)
    if first := Message.objects.filter(batch=report.batch).first():
        deed = gettext("Resent a list as a batch")
        model_admin.log(request, first, deed, name=report.batch, flag=ADDITION)
