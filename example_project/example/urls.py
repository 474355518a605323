from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("sms/", include("django_smsww.urls")),
]
if apps.is_installed("django_smsww.contrib.simulator"):
    urlpatterns += [path("phones/", include("django_smsww.contrib.simulator.urls"))]
