"""The ModelAdmin of SMS devices. It cannot show codes: the database has only their digests."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest

from .models import SMSDevice


@admin.register(SMSDevice)
class SMSDeviceAdmin(admin.ModelAdmin):
    list_display = ("user", "name", "created_at", "last_used_at", "confirmed")
    list_filter = ("confirmed", "created_at", "last_used_at")
    raw_id_fields = ("user",)
    fields = ("user", "name", "number", "confirmed", "created_at", "last_used_at")
    readonly_fields = ("created_at", "last_used_at")

    def get_search_fields(self, request: HttpRequest) -> tuple[Any, ...]:
        """Return the fields for the search by user and by name. Numbers cannot be searched."""
        return (f"user__{get_user_model().USERNAME_FIELD}", "name")
