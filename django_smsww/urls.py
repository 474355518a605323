"""The URL of the callback view. Include it: `path("sms/", include("django_smsww.urls"))`."""

from django.urls import path

from .callbacks.views import CallbackView

app_name = "django_smsww"

urlpatterns = [path("callback/", CallbackView.as_view(), name="callback")]
