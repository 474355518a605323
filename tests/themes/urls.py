from django.conf import settings
from django.urls import include, path

from tests.urls import urlpatterns as plain

urlpatterns = [*plain]
if settings.THEME == "grappelli":
    urlpatterns.append(path("grappelli/", include("grappelli.urls")))
