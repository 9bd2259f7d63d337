"""Patterns of texts in bodies and parameters, and the words in which an error names them."""

from __future__ import annotations

from collections.abc import Mapping

from service.http.names import NO_CONTROLS, PLAIN
from worker.spec.patterns import DEVICE, RUN_ID, SHA256

EVENT_ID = r"^\d{1,18}$"
INTERVALS = "^(sign_flip|bootstrap)$"
OWNER = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"
PAIR = "="
PAIRS = "^(baseline|all)$"
PIXELS = r"^[1-9]\d{0,3}(x[1-9]\d{0,3})?$"

EXPECTED: Mapping[str, str] = {
    DEVICE: "This must be auto, cpu, mps, cuda or cuda:N",
    EVENT_ID: "This must be the number of an event",
    INTERVALS: "This must be sign_flip or bootstrap",
    OWNER: "This must be 1 to 64 letters, digits or any of ._@+-, beginning with a letter or a digit",
    PAIR: "This must be NAME=VALUE",
    PAIRS: "This must be baseline or all",
    PLAIN: NO_CONTROLS.rstrip("."),
    RUN_ID: "This must be the id of a run, such as run_01K0ABCDEFGHJKMNPQRSTVWXYZ",
    SHA256: "This must be a SHA-256: 64 digits or letters from a to f",
    PIXELS: "This must be a number of pixels, or width and height such as 32x24",
}
"""The beginning of the message for a text that does not match, by pattern."""
