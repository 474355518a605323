from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("phones/", include("django_smsww.contrib.simulator.urls")),
    path("sms/", include("django_smsww.urls")),
]
