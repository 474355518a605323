from importlib.util import find_spec

from django.urls import include, path
from two_factor.urls import urlpatterns as two_factor_urls

from tests.urls import urlpatterns as plain

urlpatterns = [*plain, path("", include(two_factor_urls))]

for prefix, module in {
    "accounts/": "allauth",
    "_allauth/": "allauth.headless",
    "__debug__/": "debug_toolbar",
}.items():
    if find_spec(module.partition(".")[0]):
        urlpatterns += [path(prefix, include(f"{module}.urls"))]
