"""An extension of Griffe that adapts the docstrings of the package for the reference.

In the package, sections follow each other without an empty line, and names are in roles such as
``:class:``. Griffe expects empty lines before sections and prints roles literally.
"""

import re
from typing import Any

import griffe

SECTION = re.compile(r"(?<!\n)\n(?= *(?:Args|Attributes|Raises|Returns|Yields):\n)")
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([^`]+)`")


class HouseDocstrings(griffe.Extension):
    """Inserts empty lines before sections and removes roles."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(docstring: str) -> str:
    """Insert an empty line before each section and replace roles by the name."""
    return ROLE.sub(r"``\1``", SECTION.sub("\n\n", docstring))
