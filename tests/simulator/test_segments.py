"""The judge's own counter, at its boundaries."""

import pytest

from django_smsww.contrib.simulator.segments import Size, measure


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", Size("GSM-7", 0, 1)),
        ("a" * 160, Size("GSM-7", 160, 1)),
        ("a" * 161, Size("GSM-7", 161, 2)),
        ("a" * 306, Size("GSM-7", 306, 2)),
        ("a" * 307, Size("GSM-7", 307, 3)),
        ("€" * 80, Size("GSM-7", 160, 1)),
        ("a" * 152 + "€" + "a" * 152, Size("GSM-7", 306, 3)),
        ("ç", Size("UCS-2", 1, 1)),
        ("\x1b", Size("UCS-2", 1, 1)),
        ("я" * 70, Size("UCS-2", 70, 1)),
        ("я" * 71, Size("UCS-2", 71, 2)),
        ("я" * 134, Size("UCS-2", 134, 2)),
        ("😀" * 35, Size("UCS-2", 70, 1)),
        ("я" * 66 + "😀" + "я" * 66, Size("UCS-2", 134, 3)),
    ],
)
def test_text_has_its_size(text, size):
    assert measure(text) == size


def test_alphabet_has_its_137_characters():
    found = [c for c in map(chr, range(0x3000)) if measure(c).encoding == "GSM-7"]
    assert len(found) == 127 + 10
