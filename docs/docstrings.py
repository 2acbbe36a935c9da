"""How the house's docstrings become what the reference's reader of docstrings expects.

The sections of ours follow each other without an empty line, and names stand in roles such as
``:class:``; Griffe wants the one and prints the other as they are.
"""

import re
from typing import Any

import griffe

SECTION = re.compile(r"(?<!\n)\n(?= *(?:Args|Attributes|Raises|Returns|Yields):\n)")
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([^`]+)`")


class HouseDocstrings(griffe.Extension):
    """Opens the sections of every docstring and takes roles out."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(docstring: str) -> str:
    """An empty line before each section; the bare name in place of a role."""
    return ROLE.sub(r"``\1``", SECTION.sub("\n\n", docstring))
