"""The page with the telephones: `path("phones/", include("django_smsww.contrib.simulator.urls"))`.

For development only, like the simulator.
"""

from django.urls import path

from .views import phones

urlpatterns = [path("", phones, name="smsww_phones")]
