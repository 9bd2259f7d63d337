"""Explanations of terms where they stand, from the page of concepts."""

from __future__ import annotations

import functools
from typing import NamedTuple

from service.web.documentation.files import address
from service.web.documentation.markdown import document

PAGE = "concepts.md"


class Concept(NamedTuple):
    """A term, its explanation in one paragraph, and the address of the rest."""

    anchor: str
    title: str
    text: str
    address: str


@functools.cache
def concept(anchor: str) -> Concept:
    """Return the concept whose heading has this id.

    Raises:
        StopIteration: The page of concepts has no such heading.
    """
    section = next(one for one in document(PAGE).sections if one.anchor == anchor)
    paragraph = section.text.partition("\n\n")[0].replace("\n", " ")
    return Concept(anchor, section.title, paragraph, f"{address(PAGE)}#{anchor}")
