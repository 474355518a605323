"""Numbers as people write them: one function reads them, everywhere."""

from contextlib import suppress
from io import StringIO
from itertools import product

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumber_field.phonenumber import PhoneNumber
from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number,
    example_number_for_type,
    format_number,
)

from django_smsww import SMS, InvalidSMS, InvalidSMSBackend, send_mass_sms, send_messages, send_sms
from django_smsww.admin.compose.draft import Draft
from django_smsww.admin.search import find
from django_smsww.backends.dummy import SMSBackend
from django_smsww.models import Message, Suppression
from django_smsww.numbers import is_e164, read_number
from django_smsww.sending.files import find_recipients
from django_smsww.sending.spreadsheets import read_text

from .backends.conftest import cases
from .conftest import NUMBER
from .support.people import admin_url, browser_of, staff
from .support.sampling import slow_unless

LONDON = "+447400123456"
SPELLINGS = {
    NUMBER: [
        *(NUMBER, f" {NUMBER}\n", "+39 333 1234567", "+39\t333\t1234567", "(+39) 333/123.45.67"),
        *("+39\u00a0333\u202f1234567", "+39‐333‑123‒45–6—7", "+39−333 123ー4567"),
        *("0039 333 1234567", "(0039) 333 1234567", "+0039 333 1234567", "+ 39 333 1234567"),
        *("tel:+39-333-1234567", "TEL: +39 333 1234567", "+39 (0)333 1234567", "++393331234567"),
        *("+٣٩٣٣٣١٢٣٤٥٦٧", "＋３９３３３１２３４５６７", "+39\u00ad3331234567"),
        *(f"\u202a{NUMBER}\u202c", f"\u200e{NUMBER}"),
    ],
    LONDON: ["+44 (0)7400 123456", "+44[0]7400123456", "+44 07400 123456", "00440 7400 123456"],
    "+390612345678": ["+39 06 1234 5678", "+39 (0)6 12345678"],  # Italians dial this zero
    "+34612345678": ["+34 (0)612345678"],
    # No numbering plan has these, or has had them for long.
    "+9991234567": ["+9991234567", "+999 123 4567"],
    "+123456789012345": ["+1 23456789012345"],
    "+6834000": ["+683 4000"],
}


@pytest.mark.parametrize(("spelling", "number"), cases(SPELLINGS))
def test_a_number_is_read_as_people_write_it(spelling, number):
    assert read_number(spelling) == number


NATIONAL = {
    ("IT", NUMBER): ["333 1234567", "393331234567", "0039 333 1234567", "+39 333 1234567"],
    ("IT", "+390612345678"): ["06 12345678"],
    ("IT", LONDON): ["+44 (0)7400 123456", "00447400123456"],
    ("GB", LONDON): ["07400 123456", "(0)7400 123456", "7400123456"],
    ("US", NUMBER): ["011 39 333 1234567", "0039 333 1234567"],
    ("BR", NUMBER): ["0015 39 333 1234567"],
}


@pytest.mark.parametrize(("spelling", "case"), cases(NATIONAL))
def test_a_region_reads_national_numbers(spelling, case):
    region, number = case
    assert read_number(spelling, region) == number


PLAIN = NUMBER.removeprefix("+")
NO_NUMBERS = {
    "start with the plus sign": ["", PLAIN, "333 1234567", "abc"],
    "without letters or an extension": [
        *("+39333CALLME1", f"{NUMBER} Mario", f"{NUMBER}#5", f"{NUMBER};ext=5", "+39+3331234567"),
        *(f"{NUMBER}, {NUMBER}", f"{NUMBER} / {NUMBER}", f"{NUMBER}\n{NUMBER}"),
        *("+39\x003331234567", "+", "+39", "+0393331234567", "+39 " * 1000),
    ],
    "7 to 15 digits": ["+123456", "+1234567890123456"],
    "recipient must be a string": [393331234567, None, b"+393331234567", object()],
}


@pytest.mark.parametrize(("recipient", "text"), cases(NO_NUMBERS))
def test_what_is_no_number_is_refused(recipient, text):
    backend = SMSBackend(alias="default")
    with pytest.raises(InvalidSMS, match=text) as caught:
        backend.validate(backend.prepare(SMS("Hello", recipient)))
    assert NUMBER in str(caught.value)  # the example


@pytest.mark.parametrize("typed", ["12", "447400123456", f"{PLAIN}3331234567"])
def test_a_region_takes_no_foreign_or_impossible_number_for_a_national_one(typed):
    with pytest.raises(InvalidSMS):
        read_number(typed, "IT")


WRITTEN = st.text(st.sampled_from("+0123456789٣３ -–().[]/\t\u00a0\u202a"), max_size=25)


TEXTS = WRITTEN | WRITTEN.map("+{}".format) | st.text(max_size=20)


@given(TEXTS, st.sampled_from(["", "IT", "AR", "BR"]))
@example("+4400007400123456", "")
def test_every_text_is_a_number_that_stays_as_it_is_or_an_error(text, region):
    number = None
    with suppress(InvalidSMS):
        number = read_number(text, region)
    if number is not None:
        assert is_e164(number)
        assert read_number(number) == read_number(number, region) == number


FORMATS = (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966, PhoneNumberFormat.E164)


SAMPLE = {"AR", "BR", "DE", "FR", "GB", "IT", "MX", "NZ", "RU", "US"}


@pytest.mark.parametrize("region", slow_unless(SAMPLE.__contains__, sorted(SUPPORTED_REGIONS)))
def test_each_country_writes_its_numbers_in_its_own_way(region):
    number = example_number_for_type(region, PhoneNumberType.MOBILE) or example_number(region)
    e164 = format_number(number, PhoneNumberFormat.E164)
    assert {read_number(format_number(number, each)) for each in FORMATS} == {e164}
    assert read_number(format_number(number, PhoneNumberFormat.NATIONAL), region) == e164


OBJECTS = [
    PhoneNumber.from_string("+39 333 1234567"),
    gettext_lazy(NUMBER),
    SimpleLazyObject(lambda: NUMBER),
    SimpleLazyObject(lambda: PhoneNumber.from_string("+39 333 1234567")),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("recipient", OBJECTS, ids=["field", "lazy", "lazy object", "lazy field"])
@pytest.mark.parametrize("extra", [True, False])
def test_an_object_that_stands_for_a_number_is_sent_to(gateway, recipient, extra, request):
    if not extra:
        request.getfixturevalue("no_extra")
    rows = [send_sms("Hello", recipient), *send_mass_sms("Hello", [recipient, NUMBER])]
    assert [row.recipient for row in rows] == [NUMBER] * 3
    assert [sms.recipient for sms in gateway.sent] == [NUMBER] * 2


@pytest.mark.parametrize("spelling", SPELLINGS[NUMBER][1:])
def test_without_the_extra_other_spellings_are_refused_and_it_is_named(no_extra, spelling):
    assert read_number(NUMBER) == NUMBER
    with pytest.raises(InvalidSMS, match=r"pip install 'django-smsww\[numbers\]'"):
        read_number(spelling)


@pytest.mark.parametrize(
    "options", [{"region": "IT"}, {"allowed_countries": ["IT"]}, {"max_per_country": (5, 60)}]
)
def test_an_option_that_needs_the_extra_is_an_error_of_check(no_extra, settings, options):
    backend = "django_smsww.backends.dummy.SMSBackend"
    settings.SMSWW = {"default": {"BACKEND": backend, "OPTIONS": options}}
    [error] = [each for each in checks.run_checks(tags=["sms"]) if each.id == "smsww.E001"]
    assert "pip install 'django-smsww[numbers]'" in error.msg
    with pytest.raises(InvalidSMSBackend):
        SMSBackend(alias="default", **options)


# Everywhere the same

BRITISH = ["+44 (0)7400 123456", "07400 123456", "0044 7400\u00a0123456"]


@pytest.fixture
def british(gateway):
    gateway.configure(region="gb")
    return gateway


def by_mass_send(typed):
    send_mass_sms("Hello", [typed, LONDON])


def by_messages(typed):
    send_messages([SMS("Hello", typed)])


def by_command(typed):
    call_command("smsww_send", typed, LONDON, "--text", "Hello", stdout=StringIO())


DOORS = [lambda typed: send_sms("Hello", typed), by_mass_send, by_messages, by_command]
CASES = [*product(DOORS, BRITISH)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("door", "typed"), CASES)
def test_each_door_sends_once_and_the_row_has_e164(british, door, typed):
    door(typed)
    assert [sms.recipient for sms in british.sent] == [LONDON]
    assert [row.recipient for row in Message.objects.all()] == [LONDON]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("door", "typed"), CASES)
def test_no_spelling_evades_the_do_not_send_list(british, door, typed):
    browser = browser_of(staff("add_suppression"))
    browser.post(admin_url("suppression_add"), {"recipient": BRITISH[1], "reason": ""})
    assert Suppression.objects.get().recipient == LONDON
    with suppress(InvalidSMS, CommandError):
        door(typed)
    assert british.sent == []


@pytest.mark.django_db(transaction=True)
def test_a_key_stands_for_a_number_in_every_spelling(british):
    first = send_sms("Hello", LONDON, key="k")
    assert {send_sms("Hello", typed, key="k") for typed in BRITISH} == {first}
    again = [send_mass_sms("Hello", [typed], key="m")[0] for typed in BRITISH]
    assert len(set(again)) == 1
    assert len(british.sent) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("typed", BRITISH)
def test_the_admin_and_the_commands_find_each_spelling(british, typed):
    message = send_sms("Hello", LONDON)
    cells = find_recipients(read_text(StringIO(f"{typed};Ann")), is_typed=True)
    draft = Draft.of(SMSBackend(alias="default", region="GB"), SMS("Hello", ""), cells)
    assert (draft.numbers, draft.problems) == ([LONDON], [])
    for exact in (True, False):
        assert find(Message.objects.all(), typed, exact=exact).rows.get() == message
    output = StringIO()
    call_command("smsww_prune", "--erase", typed, "--dry-run", stdout=output)
    assert output.getvalue() == "1 message would be erased. Nothing was changed.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["+44‑7400 12", "0044\u202f7400", "\u202a+44 7400\u202c", "٣٤٥٦"])
def test_a_search_finds_parts_of_numbers_as_people_write_them(make_message, typed):
    message = make_message(recipient=LONDON)
    make_message()
    assert find(Message.objects.all(), typed, exact=False).rows.get() == message


@pytest.mark.django_db
def test_the_do_not_send_list_keeps_and_finds_e164():
    entry = Suppression.objects.create(recipient=BRITISH[0])
    assert entry.recipient == LONDON
    assert Suppression.objects.get_or_create(recipient=BRITISH[2]) == (entry, False)
    assert Suppression.objects.among(["00447400123456", NUMBER]) == {LONDON}
    with pytest.raises(InvalidSMS):
        Suppression.objects.create(recipient=BRITISH[1])  # which holds nothing back


@pytest.mark.django_db(transaction=True)
def test_a_number_that_no_plan_has_is_sent_to_and_counted(british):
    output = StringIO()
    call_command("smsww_send", "+999 1234567", LONDON, "--text", "Hello", stdout=output)
    assert {sms.recipient for sms in british.sent} == {"+9991234567", LONDON}
    assert "Lines whose number is in no numbering plan: 1." in output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_file_is_sent_once_however_its_numbers_are_spelled(british, tmp_path):
    path = tmp_path / "mailing.csv"
    path.write_text("recipient\n" + "\n".join([*BRITISH, LONDON]))
    output = StringIO()
    call_command("smsww_send", "--csv", path, "--text", "Hello", stdout=output)
    assert [sms.recipient for sms in british.sent] == [LONDON]
    assert "Lines that repeat another line, and are sent once: 3" in output.getvalue()
