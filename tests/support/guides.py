"""The blocks of code in the documents of docs/."""

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
    return run_blocks(f"docs/{name}", blocks_of(name), names)


def run_blocks(name, blocks, names):
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{name}, block {number}", "exec"), names)
    return names


def run_file(name, file, **names):
    """Run the block of a document that begins with the name of this file; return its names."""
    [text] = [each for each in blocks_of(name) if each.startswith(f"# {file}")]
    return run_blocks(f"docs/{name}, {file}", [text], names | {"__name__": file})
