"""Runs: submitted, trained by workers, read while they train and afterwards.

Routes call services, services call rules and statements, and only services open transactions.

Routes      routes, bulk_routes, derive_routes, history_routes, artifact_routes; with their bodies, parameters, schemas
Services    service (Runs: submit, act, change, delete), reader (RunReader: histories, events, reports, logs),
            scope (what both share: visibility and ownership), housekeeping
Submission  submission/: from a spec to queued runs
Statements  queries/: SQL, one module for each kind of row
Lifecycle   states (the transition table), actions (what clients do with existing runs), students (runs that wait for
            teachers), extend and verification (runs derived from a run)
Lists       pages (queries and cursors), filters (the filter language), json_paths (fields that filters can name)
Results     run (what services return, and the metadata that clients set), history_formats, thinning, advice (diagnosis
            and what to try next)
Patches     patches (merge patches of specs)
"""
