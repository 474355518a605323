from allauth.account.adapter import DefaultAccountAdapter

from django_smsww.contrib.allauth import SMSAdapterMixin
from tests.ecosystem.people.models import Telephone


class AccountAdapter(SMSAdapterMixin, DefaultAccountAdapter):
    def get_user_by_phone(self, phone):
        found = Telephone.objects.filter(number=phone).order_by("-verified").first()
        return found and found.user

    def get_phone(self, user):
        return Telephone.objects.filter(user=user).values_list("number", "verified").first()

    def set_phone(self, user, phone, verified):
        Telephone.objects.update_or_create(
            user=user, defaults={"number": phone, "verified": verified}
        )
