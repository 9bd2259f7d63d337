"""Carbon dioxide in the air at Mauna Loa: a monthly series with a trend and seasons.

``files/co2.csv`` as uploaded with ``order=time`` and ``lags=12``: a month from its date and the twelve months before.

Reference: Keeling and Whorf, 2004, "Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO
network".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.tables.bundled import BundledTable


class CO2(BundledTable):
    """352 training and 88 test months, 1965 to 2001: carbon dioxide in ppm from the twelve months before."""

    reference: ClassVar[str] = (
        "Keeling and Whorf 2004, Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO "
        "network"
    )
    rows: ClassVar[tuple[int, int]] = (352, 88)

    kind: Literal["co2"] = "co2"
    validation_size: int = Field(default=70, ge=0, description="Rows held out of the training part for validation.")
