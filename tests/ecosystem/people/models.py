from django.conf import settings
from django.db import models


class Telephone(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE)
    number = models.CharField(max_length=16, db_index=True)
    verified = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["number"], condition=models.Q(verified=True), name="one_user_of_a_number"
            )
        ]

    def __str__(self):
        return f"Telephone of {self.user}"
