"""The page with the phones that were written to. Reading only; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from .behaviours import describe_numbers
from .records import Entry

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --bubble: #2f6fed; --page: canvas; }
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; }
.phones { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.phone { border: 3px solid var(--line); border-radius: 1.6rem; padding: 1rem; max-height: 34rem;
  overflow-y: auto; }
.phone h2 { font-size: 1rem; margin: 0 0 .8rem; text-align: center; }
.from { font-size: .8rem; font-weight: 600; }
.bubble { background: var(--bubble); border-radius: 1rem 1rem 1rem .2rem; color: #fff;
  margin: .2rem 0; overflow-wrap: anywhere;
  padding: .5rem .8rem; white-space: pre-wrap; width: fit-content; }
.bubble.open { background: none; border: 2px dashed var(--bubble); color: inherit; }
.bubble.failed { background: none; border: 2px solid #c2410c; color: inherit; }
.facts { font-size: .75rem; margin: 0 0 1rem; opacity: .75; }
table { border-collapse: collapse; }
td { border-top: 1px solid var(--line); padding: .25rem .75rem; }
summary { cursor: pointer; margin-top: 2rem; }
"""
_LOOKS = {"NEW": "open", "PENDING": "open", "DELIVERED": "delivered"}


class Markup(str):
    """HTML that is finished; any other string is still to be escaped."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Markup:
    """Build an element; children that are not Markup are escaped, attributes always."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(_safe(child) for child in children)
    return Markup(f"<{name}{pairs}>{inner}</{name}>")


def render_phones(entries: Iterable[Entry], *, live: bool = False) -> str:
    """Return the whole page; ``live`` loads it again every two seconds."""
    phones = _group(entries)
    refresh = Markup('<meta http-equiv="refresh" content="2">' if live else "")
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        refresh,
        element("title", "SMS simulator"),
        element("style", Markup(_STYLE)),
    )
    body = element(
        "body",
        element("h1", "SMS simulator"),
        element("p", "Nothing was sent: these phones exist on this page only. ", _live_link(live)),
        element("div", *(_phone(*phone) for phone in phones.items()), class_="phones"),
        "" if phones else element("p", "No message was accepted yet."),
        _numbers(),
    )
    return "<!doctype html>" + element("html", head, body, lang="en")


def _group(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Gather messages by number: the phone written to last comes first, its texts in order."""
    phones: dict[str, list[Entry]] = {}
    for entry in entries:
        phones.setdefault(entry.document["recipient"], []).insert(0, entry)
    return phones


def _phone(recipient: str, entries: list[Entry]) -> Markup:
    messages = [part for entry in entries for part in _message(entry)]
    return element("section", element("h2", recipient), *messages, class_="phone")


def _message(entry: Entry) -> list[Markup]:
    document = entry.document
    count = document["messageCount"]
    facts = (
        f"{document['state']} · {document['encoding']} · {document['charactersCount']} characters"
        f" · {count} {'segment' if count == 1 else 'segments'} · {document['createdAt'][11:19]} UTC"
    )
    look = _LOOKS.get(document["state"], "failed")
    return [
        element("div", document["sender"], class_="from"),
        element("div", document["message"], class_=f"bubble {look}", dir="auto"),
        element("p", facts, class_="facts"),
    ]


def _live_link(live: bool) -> Markup:
    if live:
        return element("a", "Stop refreshing", href="/_simulator/")
    return element("a", "Refresh by itself", href="/_simulator/?live")


def _numbers() -> Markup:
    rows = (
        element("tr", element("td", f"…{each['ending']}"), element("td", str(each["description"])))
        for each in describe_numbers()
    )
    return element("details", element("summary", "Test numbers"), element("table", *rows))


def _safe(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child)
