"""The blocks of code in the documents of docs/."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def text_of(name):
    return (DOCS / name).read_text(encoding="utf-8")


def blocks_of(name, language="python"):
    """Return the blocks of a document in this language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), re.DOTALL | re.MULTILINE)


def run(name, **names):
    """Run the blocks of a document one after the other, as one module; return its names."""
    for number, block in enumerate(blocks_of(name), start=1):
        exec(compile(block, f"docs/{name}, block {number}", "exec"), names)
    return names
