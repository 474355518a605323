"""Include these where the gateway can reach them: `path("sms/", include("django_smsww.urls"))`."""

from __future__ import annotations

from django.urls import path

from .callbacks.views import CallbackView

app_name = "django_smsww"

urlpatterns = [path("callback/", CallbackView.as_view(), name="callback")]
