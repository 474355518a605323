"""A project whose users see their own messages alone, and other ways to narrow the API down."""

from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from django_smsww.contrib.api.viewsets import MessageViewSet


class OwnMessageViewSet(MessageViewSet):
    def get_queryset(self):
        return super().get_queryset().filter(created_by=self.request.user)


class OpenMessageViewSet(MessageViewSet):
    permission_classes = [AllowAny]


class TenantMessageViewSet(MessageViewSet):
    def get_aliases(self):
        return ["tenant-7"]


router = SimpleRouter()
router.register("own", OwnMessageViewSet, "own")
router.register("open", OpenMessageViewSet, "open")
router.register("tenant", TenantMessageViewSet, "tenant")
urlpatterns = router.urls
