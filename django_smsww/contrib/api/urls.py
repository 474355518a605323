"""The URLs of the API."""

from django.apps import apps
from rest_framework.routers import SimpleRouter

from .verification import VerificationViewSet
from .viewsets import BatchViewSet, MessageViewSet, SuppressionViewSet

app_name = "smsww_api"

router = SimpleRouter(use_regex_path=False)
router.register("messages", MessageViewSet, "message")
router.register("batches", BatchViewSet, "batch")
router.register("suppressions", SuppressionViewSet, "suppression")
if apps.is_installed("django_smsww.contrib.verification"):
    router.register("verifications", VerificationViewSet, "verification")

urlpatterns = router.urls
