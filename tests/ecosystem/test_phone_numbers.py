"""django-phonenumber-field: what its fields return is a recipient, wherever one is expected."""

import pytest
from phonenumber_field.formfields import PhoneNumberField as FormField
from phonenumber_field.phonenumber import PhoneNumber
from phonenumber_field.serializerfields import PhoneNumberField as SerializerField
from two_factor.plugins.phonenumber.models import PhoneDevice

from django_smsww import InvalidSMS, send_mass_sms, send_sms
from django_smsww.models import Message, Suppression

NUMBER = "+393331234567"
pytestmark = pytest.mark.django_db(transaction=True)


def from_a_model(user):
    device = PhoneDevice.objects.create(user=user, number="+39 333 123 4567", method="sms")
    device.refresh_from_db()
    return device.number


def from_a_form(user):
    return FormField(region="IT").clean("333 123 4567")


def from_a_serializer(user):
    return SerializerField(region="IT").run_validation("333 123-4567")


@pytest.mark.parametrize("read", [from_a_model, from_a_form, from_a_serializer])
@pytest.mark.parametrize("form", ["E164", "NATIONAL", "INTERNATIONAL", "RFC3966"])
def test_a_number_of_its_fields_is_a_recipient(user, settings, smsoutbox, read, form):
    settings.PHONENUMBER_DEFAULT_FORMAT = form
    number = read(user)
    assert isinstance(number, PhoneNumber)
    assert send_sms("Hello", number).recipient == NUMBER
    assert [sms.recipient for sms in smsoutbox] == [NUMBER]


def test_its_numbers_and_strings_of_one_call_are_one_message(smsoutbox):
    numbers = [PhoneNumber.from_string(NUMBER), "+39 333 123 4567", NUMBER]
    rows = send_mass_sms("Hello", numbers)
    assert len({row.pk for row in rows}) == len(smsoutbox) == 1


def test_a_number_of_its_is_on_the_do_not_send_list(smsoutbox):
    Suppression.objects.create(recipient=NUMBER)
    with pytest.raises(InvalidSMS, match="do-not-send"):
        send_sms("Hello", PhoneNumber.from_string(NUMBER))
    assert smsoutbox == []


@pytest.mark.parametrize("text", ["12", "nobody", ""])
def test_a_number_that_it_stores_but_calls_invalid_is_no_recipient(user, smsoutbox, text):
    device = PhoneDevice(user=user, number=text, method="sms")  # a model does not validate itself
    with pytest.raises(InvalidSMS):
        send_sms("Hello", device.number)
    assert (smsoutbox, Message.objects.count()) == ([], 0)
