"""The URL of the page with simulated telephones, for development only.

Include it with `path("phones/", include("django_smsww.contrib.simulator.urls"))`.
"""

from django.urls import path

from .views import phones

urlpatterns = [path("", phones, name="smsww_phones")]
