"""The parts of a text, counted from 3GPP TS 23.038 and 23.040 and nothing else."""

GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = set("\f^{}\\[~]|€")


def parts_of(text):
    """Return encoding, length and number of parts."""
    if set(text) <= GSM | EXTENSION:
        units = [2 if character in EXTENSION else 1 for character in text]
        return "GSM-7", sum(units), number_of(units, 160, 153)
    units = [len(character.encode("utf-16-be")) // 2 for character in text]
    return "UCS-2", sum(units), number_of(units, 70, 67)


def number_of(units, single, several):
    if sum(units) <= single:
        return 1
    parts, room = 1, several
    for unit in units:  # a pair is never split
        parts, room = (parts, room - unit) if unit <= room else (parts + 1, several - unit)
    return parts
