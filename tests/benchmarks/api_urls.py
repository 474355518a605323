from django.urls import include, path

from .api import plain_view

urlpatterns = [
    path("api/", include("django_smsww.contrib.api.urls")),
    path("plain/", plain_view()),
]
