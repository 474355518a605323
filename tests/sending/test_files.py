"""Files as spreadsheets write them, in the command and in the admin."""

import re
import zipfile
from contextlib import suppress
from io import BytesIO, StringIO
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from django_smsww.models import Message
from django_smsww.sending import spreadsheets
from django_smsww.sending.spreadsheets import UnusableFileError

from ..conftest import NUMBER
from ..support.people import admin_url, browser_of, missing, staff

OTHER = "+34600000000"
COMPOSE = admin_url("message_compose")
pytestmark = pytest.mark.django_db(transaction=True)


def csv_of(*lines, encoding="utf-8"):
    return "\r\n".join(lines).encode(encoding)


def xlsx_of(*lines):
    book = Workbook()
    for line in lines:
        book.active.append(line)
    book.save(file := BytesIO())
    return file.getvalue()


@pytest.fixture
def send(tmp_path):
    """Return a function that sends a file, and returns the exit code and the errors."""

    def run(content, *arguments):
        path = tmp_path / "mailing"
        path.write_bytes(content)
        errors = StringIO()
        try:
            call_command("smsww_send", "--csv", path, *arguments, stdout=errors, stderr=errors)
        except CommandError as error:
            return error.returncode, f"{errors.getvalue()}{error}"
        return 0, errors.getvalue()

    return run


@pytest.fixture
def compose(db):
    """Return a function that checks a message to a file, or to typed numbers."""

    user = staff("view_message", "send_message", "mass_send_message")

    def post(content=None, typed=""):
        file = {} if content is None else {"file": SimpleUploadedFile("numbers", content)}
        fields = {"recipients": typed, "body": "Hello", "alias": "default", "token": uuid4()}
        return browser_of(user).post(COMPOSE, fields | file | {"_check": "1"})

    return post


SHAPES = {
    "semicolons": csv_of("recipient;body", f"{NUMBER};Già", f"{OTHER};Sì"),
    "tabs": csv_of("recipient\tbody", f"{NUMBER}\tGià", f"{OTHER}\tSì"),
    "a line for Excel": csv_of("sep=;", "body;recipient", f"Già;{NUMBER}", f"Sì;{OTHER}"),
    "quoted delimiters": csv_of('"body";"recipient"', f'"Già";"{NUMBER}"', f'"Sì";"{OTHER}"'),
    "a byte order mark": csv_of(
        "recipient,body", f"{NUMBER},Già", f"{OTHER},Sì", encoding="utf-8-sig"
    ),
    "UTF-16": csv_of("recipient\tbody", f"{NUMBER}\tGià", f"{OTHER}\tSì", encoding="utf-16"),
    "empty columns": csv_of("recipient,body,,", f"{NUMBER},Già,,,,", f"{OTHER},Sì, ,", ",,,", " "),
    "names in any case": csv_of(" RECIPIENT , Body ", f"{NUMBER},Già", f"{OTHER},Sì"),
    "apostrophes": csv_of("recipient,body", f"'{NUMBER},Già", f"'{OTHER},Sì"),
    "XLSX": xlsx_of([" Recipient", "body", None], [NUMBER, "Già"], [], [OTHER, "Sì"], [None, " "]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_a_file_is_read(gateway, send, compose, shape):
    code, errors = send(SHAPES[shape])
    assert code == 0, errors
    assert [(sms.recipient, sms.body) for sms in gateway.sent] == [(NUMBER, "Già"), (OTHER, "Sì")]
    assert compose(SHAPES[shape]).context["draft"].numbers == [NUMBER, OTHER]


WRONG = {
    "ruined": (
        csv_of("recipient;body", "3,93331E+11;Hello"),
        2,
        "recipient",
        "3,93331E+11",
        "a form like 3.9E+11",
    ),
    "quoted": (
        csv_of("recipient,body", f'{NUMBER},"one', f'{OTHER}"', "12,x"),
        4,
        "recipient",
        "12",
        "recipient must",
    ),
    "XLSX": (
        xlsx_of(["body", "recipient"], [], ["Hello", 12345]),
        3,
        "recipient",
        "12345",
        "recipient must",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_number_is_named_by_line_column_and_value(gateway, send, compose, case):
    """A terminal has it masked, since its text is kept in logs. Who typed it sees it as it is."""
    content, line, column, value, why = WRONG[case]
    masked = re.sub(r"[a-zA-Z]", "x", re.sub(r"\d", "•", value))
    code, errors = send(content)
    assert f'Line {line}, column {column}, "{masked}": recipient ' in errors
    assert (code, why in errors) == (2, True), errors
    assert gateway.sent == []
    shown = f"Line {line}, column {column}, “{value}”: "
    assert not missing(compose(content), shown, why)


def test_an_old_encoding_is_named_and_read_when_it_is_given(gateway, send, compose):
    content = csv_of("recipient,body", f"{OTHER},Hello", f"{NUMBER},Già", encoding="cp1252")
    code, errors = send(content)
    assert (code, "Line 3 is not in UTF-8" in errors, "--encoding cp1252" in errors) == (
        2,
        True,
        True,
    )
    assert send(content, "--encoding", "cp1252")[0] == 0
    assert {sms.body for sms in gateway.sent} == {"Hello", "Già"}
    assert not missing(compose(content), "2 messages", "not in UTF-8", "read as ISO-8859-1")


def zipped(size):
    with zipfile.ZipFile(file := BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * size)
    return file.getvalue()


def xlsx_with_entities():
    """Return a file whose text grows to gigabytes when its entities are replaced."""
    source = zipfile.ZipFile(BytesIO(xlsx_of(["recipient"], [NUMBER])))
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    with zipfile.ZipFile(file := BytesIO(), "w") as archive:
        for name in source.namelist():
            text = source.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                text = f"{bomb}]>{text}".replace(NUMBER, "&j;")
            archive.writestr(name, text)
    return file.getvalue()


UNUSABLE = [
    (zipped(spreadsheets.MOST_UNPACKED + 1), "too large when unpacked"),
    (zipped(1), "cannot be read as XLSX"),
    (xlsx_with_entities(), "cannot be read as XLSX"),
    (b"PK\x03\x04", "cannot be read as XLSX"),
    (b"\xd0\xcf\x11\xe0" * 99, "save it as XLSX"),
    (csv_of("recipient", f"{NUMBER}", '"+39'), "Line 3 is not in the form of CSV"),
    (xlsx_of(["recipient", "body"], [NUMBER, "#N/A"]), "Line 2, column B has the error #N/A"),
]


@pytest.mark.parametrize(("content", "why"), UNUSABLE, ids=[why for _, why in UNUSABLE])
def test_a_file_that_cannot_be_used_is_explained(send, compose, content, why):
    code, errors = send(content, "--text", "Hello")
    assert (code, why in errors) == (2, True), errors
    assert not missing(compose(content), why)
    assert not Message.objects.exists()


@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 5000), st.binary(max_size=4))
def test_a_damaged_file_raises_no_other_error(shape, place, noise):
    content = SHAPES[shape]
    damaged = content[:place] + noise + content[place + len(noise) :]
    with suppress(UnusableFileError):
        list(spreadsheets.read_lines(BytesIO(damaged)))


@pytest.mark.parametrize("separator", ["", "\r", "x", '"'])
def test_a_line_that_names_no_delimiter_is_no_such_line(send, separator):
    code, errors = send(csv_of(f"sep={separator}", "recipient", NUMBER))
    assert (code, "Line 1: unknown column" in errors) == (2, True), errors


def test_a_file_without_names_is_no_file_of_messages_and_its_numbers_stay_hidden(send):
    code, errors = send(csv_of(f"{NUMBER},Hello"))
    assert (code, "unknown column 1, '+••••••••••••'" in errors, NUMBER in errors) == (
        2,
        True,
        False,
    )


def test_an_unknown_encoding_is_wrong_use(send):
    code, errors = send(csv_of("recipient"), "--encoding", "nonsense")
    assert (code, "no encoding 'nonsense'" in errors) == (2, True)


def test_without_the_extra_an_xlsx_file_says_what_to_install(send, compose, monkeypatch):
    content = SHAPES["XLSX"]
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert "pip install 'django-smsww[xlsx]'" in send(content)[1]
    assert not missing(compose(content), "django-smsww[xlsx]")


# Lists of numbers in the admin


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        (f"{NUMBER}, {OTHER}", [NUMBER, OTHER]),
        (f"{NUMBER}; Ann\n{OTHER}\tBob", [NUMBER, OTHER]),
        (f'"{NUMBER}","Ann"\n\'{OTHER};', [NUMBER, OTHER]),
        (f'Name\tNumber\n"Ann\n{OTHER}"\t', []),
        (f"{NUMBER}\n{OTHER}, 0034 600 000 001", [NUMBER, OTHER, "+34600000001"]),
    ],
)
def test_each_number_of_a_typed_line_counts(compose, typed, numbers):
    answer = compose(typed=typed)
    draft = answer.context.get("draft")
    assert (draft.numbers if draft else []) == numbers


def test_lines_count_from_the_first_of_the_file_or_of_what_is_typed(compose):
    for source in ({"content": csv_of(NUMBER, "12")}, {"typed": f"{NUMBER}\n12"}):
        assert not missing(compose(**source), "Line 2, column 1, “12”: ")


def test_a_file_without_names_holds_numbers_in_its_first_column(compose):
    content = csv_of(
        f"{NUMBER};12345678;2026-05-01", f'0034600000000;"Rome 5, 20100";{NUMBER[:-1]}8'
    )
    draft = compose(content).context["draft"]
    assert (draft.numbers, draft.problems) == ([NUMBER, OTHER, f"{NUMBER[:-1]}8"], [])


def test_a_file_may_have_other_columns(compose):
    content = csv_of('"Surname, name, title";Recipient', f'"Rossi, Ann, 12345678";{NUMBER}')
    assert compose(content).context["draft"].numbers == [NUMBER]


def test_numbers_and_a_file_at_once_are_refused(compose):
    assert not missing(compose(csv_of(NUMBER), typed=OTHER), "not both")
