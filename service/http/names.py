"""Names for display: any text without control characters, which terminals and logs would interpret."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
NO_CONTROLS = "A name cannot contain control characters, such as tabs and line breaks."
Name = Annotated[str, StringConstraints(max_length=256, pattern=PLAIN)]


def _plain(text: str) -> str:
    if not re.fullmatch(PLAIN, text):
        raise ValueError(NO_CONTROLS.rstrip("."))
    return text


# A validator, not a pattern: a pattern of keys becomes patternProperties, which client generators do not support.
Label = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_plain)]
