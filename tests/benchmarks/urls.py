from django.urls import path

from ..urls import urlpatterns as of_tests
from .admin import stock_site

urlpatterns = [*of_tests, path("stock/", stock_site().urls)]
