"""The frame of the pages that are our own: the admin's head, the way back, our style sheet."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse


def framed(admin: ModelAdmin[Any], request: HttpRequest, template: str, **context: Any) -> Any:
    """Return a page of ours; `title` is what it is called, `original` the row that it is about."""
    request.current_app = admin.admin_site.name
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "media": admin.media,
        **context,
    }
    return TemplateResponse(request, f"admin/django_smsww/{template}", context)
