"""The log of reasons why studies cannot continue, each of which a background task meets in every round."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

LOG = logging.getLogger("fitwell.service")


@dataclass(frozen=True)
class ReasonLog:
    """Logs a study's reason unless the last one was the same."""

    last: dict[str, str] = field(default_factory=dict)
    """By study id."""

    def warn(self, message: str, study_id: str, reason: object) -> None:
        """Log ``message``, into which the study and the reason are inserted; exceptions with their traceback."""
        if self.last.get(study_id) != str(reason):
            self.last[study_id] = str(reason)
            LOG.warning(message, study_id, reason, exc_info=isinstance(reason, Exception))
