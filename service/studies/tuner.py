"""Takes tuned studies from one phase to the next: freezes the choice, queues its confirmation, and records its end.

Each step is a transaction that locks the study's row and happens only in its phase, hence once. So several services may
do this at once, and one that is killed is taken over by any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from service.errors import Refusal, SpecRefused
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.statuses import TuningPhase
from service.studies import queries as studies
from service.studies.errors import NothingToChoose
from service.studies.frozen_choice import confirmation_request, freeze, gaps, stored
from service.studies.looks import incomplete
from service.studies.new_study import NewStudy
from service.studies.reason_log import ReasonLog
from service.studies.sequencer import end_of_tuning, owner_of, stop_tuning
from service.studies.service import Studies
from worker.spec.canonical import sha256_of

NewStudyOf = Callable[[Mapping[str, Any]], NewStudy]
"""Turns the stored request of a study into the study to create."""


class Tuner:
    """All tuned studies of a database."""

    def __init__(self, engine: sa.Engine, settings: Settings, service: Studies, new_study_of: NewStudyOf) -> None:
        self._engine = engine
        self._settings = settings
        self._service = service
        self._new_study_of = new_study_of
        self._reasons = ReasonLog()

    def advance(self) -> int:
        """Take every step that is due, and return their number."""
        with reading(self._engine) as connection:
            ready = studies.tuned_ready(connection)
        return sum(self._advance(study_id) for study_id in ready)

    def _advance(self, study_id: str) -> int:
        """Take the steps of one study that are due, and return their number."""
        try:
            return self.freeze(study_id) + self.queue_confirmation(study_id) + self.end(study_id)
        except Refusal as refusal:
            self._reasons.warn("cannot continue the tuned study %s: %s", study_id, refusal.detail)
        except Exception as error:  # the next round tries again
            self._reasons.warn("cannot continue the tuned study %s: %r", study_id, error)
        return 0

    def freeze(self, study_id: str) -> bool:
        """Freeze the choice of a study whose search has ended, and return whether that happened."""
        with reading(self._engine) as connection:
            study = studies.by_id(connection, study_id)
            if study is None or study.tuning_phase != "searching":
                return False
            runs = studies.runs_of(connection, study_id)
            if (missing := incomplete(study, runs)) is not None:
                return missing.code == "runs_deleted" and self._stop(study, missing.message)
            try:
                choice = stored(freeze(connection, study))
            except NothingToChoose as refusal:
                return self._stop(study, refusal.detail)
        with writing(self._engine) as connection:
            current = studies.by_id(connection, study_id, lock=True)
            if current is None or current.tuning_phase != "searching" or studies.runs_of(connection, study_id) != runs:
                return False
            frozen = {"choice": choice, "sha256": sha256_of(choice), "frozen_at": studies.now(connection)}
            studies.change(connection, study_id, {"tuning_phase": "frozen", "tuning": {**current.tuning, **frozen}})
            data = {"study_id": study_id, "sha256": frozen["sha256"]}
            events.append(connection, [NewEvent(runs[-1].id, studies.FROZEN, data)])
        return True

    def queue_confirmation(self, study_id: str) -> bool:
        """Queue the first seeds of the chosen trials, and return whether that happened.

        Raises:
            QuotaExceeded: The owner has too many unfinished runs.
            StorageFull: The disk is nearly full.
        """
        with reading(self._engine) as connection:
            study = studies.by_id(connection, study_id)
        if study is None or study.tuning_phase != "frozen":
            return False
        service = self._service.on_behalf_of(owner_of(study, self._settings))
        try:
            bodies = service.run_bodies(self._new_study_of(study.request))
            new = self._new_study_of(confirmation_request(study, bodies))
            return service.confirm(study_id, new)
        except SpecRefused as refusal:
            return self._stop(study, f"The choice cannot be confirmed: {refusal.detail}")

    def end(self, study_id: str) -> bool:
        """Record the end of a study whose confirmation has ended, and return whether that happened."""
        with writing(self._engine) as connection:
            study = studies.by_id(connection, study_id, lock=True)
            if study is None or study.tuning_phase != "confirming":
                return False
            confirmation = studies.confirmations(connection, [study_id]).get(study_id)
            if confirmation is None:
                events.append(connection, stop_tuning(connection, study, "The confirmation was deleted."))
                return True
            if confirmation.next_look is not None:
                return False
            tuning = {**study.tuning, "gaps": [asdict(gap) for gap in gaps(connection, study, confirmation)]}
            phase: TuningPhase = "done" if confirmation.stop_reason is None else "stopped"
            values = {"tuning_phase": phase, "tuning": tuning, "stop_reason": confirmation.stop_reason}
            studies.change(connection, study_id, values)
            events.append(connection, end_of_tuning(connection, study))
        return True

    def _stop(self, study: Row, reason: str) -> bool:
        """End a study that cannot continue, and return whether this was still to do."""
        with writing(self._engine) as connection:
            current = studies.by_id(connection, study.id, lock=True)
            if current is None or current.tuning_phase != study.tuning_phase:
                return False
            events.append(connection, stop_tuning(connection, current, reason))
        return True
