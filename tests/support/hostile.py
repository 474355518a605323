"""What strangers may put into a text, a sender, a tag, an error or custom data."""

from html.parser import HTMLParser

CORPUS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"' autofocus onfocus=alert(1) x='",
    "template": "{{ request.user.password }}{% debug %}<b",
    "image": "</td><img src=x onerror=alert(1)>",
    "formula": '=HYPERLINK("http://evil.example";"Click")',
    "bidi": "\u202egnp.exe\u202c \u2066<b>",
}


class Reader(HTMLParser):
    """Notes every element that could do something, and the text that a browser would show."""

    def __init__(self):
        super().__init__()
        self.dangers = []
        self.shown = []
        self._silent = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "script" and not values.get("src") and "json" not in values.get("type", ""):
            self.dangers.append(tag)
        self.dangers += [name for name in values if name.startswith("on")]
        self.dangers += [v for v in values.values() if (v or "").startswith("javascript:")]
        if tag == "b" or values.get("src") == "x":
            self.dangers.append(tag)
        self._silent += tag in ("script", "textarea")

    def handle_endtag(self, tag):
        self._silent -= tag in ("script", "textarea")

    def handle_data(self, data):
        if not self._silent:
            self.shown.append(data)


def read(page):
    """Return what is dangerous on a page, and the text that it shows."""
    reader = Reader()
    reader.feed(page)
    return reader.dangers, "".join(reader.shown)
