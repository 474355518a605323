"""A project whose users see their own messages alone."""

from rest_framework.routers import SimpleRouter

from django_smsww.contrib.api.viewsets import MessageViewSet


class OwnMessageViewSet(MessageViewSet):
    def get_queryset(self):
        return super().get_queryset().filter(created_by=self.request.user)


router = SimpleRouter()
router.register("own", OwnMessageViewSet, "own")
urlpatterns = router.urls
