"""The alphabet here is written a second time, in another manner, so that a slip in one shows."""

import sys
import unicodedata

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st

from django_smsww.segments import (
    GSM7,
    MAX_SEGMENTS,
    UCS2,
    SegmentCount,
    count_segments,
    guilty_characters,
    replace_characters,
    split_segments,
)

EXTENDED = {0x0C, 0x5B, 0x5C, 0x5D, 0x5E, 0x7B, 0x7C, 0x7D, 0x7E, 0x20AC}
LATIN = "A1 A3 A4 A5 A7 BF C4 C5 C6 C7 C9 D1 D6 D8 DC DF E0 E4 E5 E6 E8 E9 EC F1 F2 F6 F8 F9 FC"
GREEK = "393 394 398 39B 39E 3A0 3A3 3A6 3A8 3A9"
BASIC = {0x0A, 0x0D, *range(0x20, 0x7F)} - {0x60} - EXTENDED
BASIC |= {int(point, 16) for point in f"{LATIN} {GREEK}".split()}

LIMITS = {GSM7: (160, 153), UCS2: (70, 67)}

# Runs of one character, long enough to reach over the ends of several segments.
CHARACTERS = (
    "aZ 5@è§Ω\n\r[]{}^~|\\\f€`çÀЖ中’…\u00a0\u200d\u0300\x1b\x00\ufffd😀👍\U0010ffff\ud83d\ude00"
)
GSM7_CHARACTERS = "aZ 5@è§Ω\n[]{}^~|\\\f€"
TYPOGRAPHY = "aeE 5è[€‘“”–—…•\t\u00a0\u2003\u00ad\u200b\u200d\u2028\u0300\u0327`´ç😀"


def runs(characters: str) -> st.SearchStrategy[str]:
    run = st.builds(str.__mul__, st.sampled_from(characters), st.integers(1, 160))
    return st.lists(run | st.text(characters, max_size=12), max_size=8).map("".join)


def reference_cost(character: str, encoding: str) -> int:
    if encoding == GSM7:
        return 2 if ord(character) in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def reference_split(text: str) -> tuple[str, int, list[str]]:
    encoding = GSM7 if {ord(character) for character in text} <= BASIC | EXTENDED else UCS2
    single, several = LIMITS[encoding]
    costs = [reference_cost(character, encoding) for character in text]
    if sum(costs) <= single:
        return encoding, sum(costs), [text]
    segments, room = [""], several
    for character, cost in zip(text, costs, strict=True):
        if cost > room:
            segments, room = [*segments, ""], several
        segments[-1] += character
        room -= cost
    return encoding, sum(costs), segments


@pytest.mark.slow
def test_every_code_point_has_the_encoding_and_cost_of_the_standard():
    assert len(BASIC) == 127
    gsm7, wrong = BASIC | EXTENDED, []
    for point in range(sys.maxunicode + 1):
        count = count_segments(chr(point))
        cost = 2 if point in EXTENDED or point > 0xFFFF else 1
        if (count.encoding == GSM7) != (point in gsm7) or count.characters != cost:
            wrong.append(hex(point))
    assert wrong == []


def test_guilty_characters_are_all_but_those_of_the_alphabet():
    plane = "".join(map(chr, range(0x10000)))
    expected = [c for c in plane if ord(c) not in BASIC | EXTENDED]
    assert list(guilty_characters(plane)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (GSM7, 0, 1)),
        *(("a" * size, (GSM7, size, n)) for size, n in ((160, 1), (161, 2), (306, 2), (307, 3))),
        ("Ω" * 160, (GSM7, 160, 1)),
        *(("€" * 80, (GSM7, 160, 1)), ("€" * 80 + "a", (GSM7, 161, 2))),
        *(("ж" * size, (UCS2, size, n)) for size, n in ((70, 1), (71, 2), (134, 2), (135, 3))),
        *(("😀" * 35, (UCS2, 70, 1)), ("😀" * 35 + "a", (UCS2, 71, 2))),
        *(("a" * 159 + "ç", (UCS2, 160, 3)), ("ক" * 100, (UCS2, 100, 2))),
        ("a" * 153 * MAX_SEGMENTS, (GSM7, 39015, 255)),
        ("a" * 153 * MAX_SEGMENTS + "a", (GSM7, 39016, 256)),
    ],
)
def test_a_text_is_counted_as_the_standard_says(text, expected):
    assert count_segments(text) == SegmentCount(*expected)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("a" * 152 + "€" + "a" * 152, [152, 152, 1]),  # 306 septets, and yet three segments
        ("a" * 151 + "€" + "a" * 153, [152, 153]),
        ("a" * 153 + "€" + "a" * 151, [153, 152]),
        ("[" * 153, [76, 76, 1]),
        ("ж" * 66 + "😀" + "ж" * 66, [66, 66, 1]),  # 134 units, and yet three segments
        ("ж" * 65 + "😀" + "ж" * 67, [66, 67]),
        ("😀" * 67, [33, 33, 1]),
        ("[" * 66 + "ж" * 67, [67, 66]),  # in UCS-2 a bracket is one unit like any other
        ("\ud83d\ude00" * 36, [67, 5]),  # surrogates on their own are no pairs
    ],
)
def test_a_pair_is_never_divided_between_two_segments(text, sizes):
    segments = split_segments(text)
    assert [len(segment) for segment in segments] == sizes
    assert "".join(segments) == text
    assert count_segments(text).segments == len(sizes)


@given(runs(CHARACTERS) | runs(GSM7_CHARACTERS))
@example("")
def test_any_text_is_split_and_counted_as_by_the_slow_walk(text):
    encoding, characters, segments = reference_split(text)
    assert split_segments(text) == segments
    assert count_segments(text) == SegmentCount(encoding, characters, len(segments))


@given(runs(CHARACTERS.replace("\x1b", "")) | runs(GSM7_CHARACTERS))
def test_smsutil_agrees(text):
    # It is mistaken twice: U+001B is a letter to it, and the empty text is not GSM-7.
    opinion = smsutil.split(text or "a")
    segments = split_segments(text or "a")
    assert segments == [part.content for part in opinion.parts]
    assert count_segments(text).encoding == {"gsm0338": GSM7, "utf_16_be": UCS2}[opinion.encoding]


def test_guilty_characters_come_once_in_order_of_appearance():
    assert guilty_characters("«Ça va ?» — ça va… — oui €5 😀") == ("«", "»", "—", "ç", "…", "😀")
    assert guilty_characters("Perché no? [10 €]") == ()


LEFT_ALONE = (
    *("¿Mañana\u00a0a las 9? “Sí” no cabe", "“Ça”, garçon…", "It’s done 👩\u200d💻…"),
    *("Χ’ m² ﬁ ①", "a\u200b\u0300’"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L’ordine è pronto – ritiralo «oggi»…", 'L\'ordine è pronto - ritiralo "oggi"...'),
        ("Perche\u0301 no? C`e\u0300 tempo.", "Perché no? C'è tempo."),
        ("“Mañana” — ¡a las 10:00!", '"Mañana" - ¡a las 10:00!'),
        ("„Grüße“ aus Köln\u202f– 5\u202f€", '"Grüße" aus Köln - 5 €'),
        ("Donau\u00addampf\u200bschiff, Straße", "Donaudampfschiff, Straße"),
        ("Aujourd’hui, café à 2\u00a0€", "Aujourd'hui, café à 2 €"),
        ("Ça y est\u202f!", "Ça y est !"),
        ("It’s 5′ 10″ — really…", "It's 5' 10\" - really..."),
        ("Call \u202a+44 20 7946 0000\u202c\tnow", "Call +44 20 7946 0000 now"),
        ("• one\u2028• two", "* one\n* two"),
        ("−5 ‹b› 1⁄2", "-5 <b> 1/2"),
        *((text, text) for text in LEFT_ALONE),
    ],
)
def test_typography_is_replaced_only_where_that_makes_the_text_gsm7(text, expected):
    assert replace_characters(text) == expected
    assert (count_segments(expected).encoding == GSM7) == (expected != text)


def test_a_text_is_left_alone_where_replacing_would_cost_a_segment():
    assert replace_characters("…" * 53) == "." * 159
    assert replace_characters("…" * 54) == "…" * 54


@given(runs(TYPOGRAPHY) | runs(TYPOGRAPHY.replace("ç", "").replace("😀", "")) | runs(CHARACTERS))
def test_replacing_is_idempotent_and_never_costs_a_segment(text):
    replaced = replace_characters(text)
    assert replace_characters(replaced) == replaced
    assert replaced == text or count_segments(replaced).encoding == GSM7
    assert count_segments(replaced).segments <= count_segments(text).segments


def letters(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    return "".join(c for c in composed if unicodedata.category(c)[0] in "LMN")


@pytest.mark.slow
def test_no_code_point_that_is_a_letter_a_mark_or_a_digit_is_changed():
    points = map(chr, range(sys.maxunicode + 1))
    changed = [(c, new) for c in points if (new := replace_characters(c)) != c]
    assert len(changed) > 50
    assert [c for c, new in changed if letters(new) != letters(c)] == []


@given(runs(TYPOGRAPHY.replace("ç", "").replace("😀", "")))
def test_letters_and_digits_stay_in_their_order(text):
    assert letters(replace_characters(text)) == letters(text)
