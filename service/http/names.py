"""What people call things: any text that neither terminals nor logs would obey."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
NO_CONTROLS = "A name has no characters that control, such as tabs and line ends."
Name = Annotated[str, StringConstraints(max_length=256, pattern=PLAIN)]


def _plain(text: str) -> str:
    if not re.fullmatch(PLAIN, text):
        raise ValueError(NO_CONTROLS.rstrip("."))
    return text


# A pattern of keys would be the schema's patternProperties, of which generators of clients make anything at all.
Label = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_plain)]
