"""Runs: submitted, trained by workers, read while they train and afterwards.

Routes call services, services call rules and statements, and only services open transactions.

- ``routes``, ``bulk_routes``, ``derive_routes``, ``history_routes``, ``comparison_routes``, ``artifact_routes``: HTTP,
  with ``bodies``, ``parameters``, ``schemas``, ``history_schemas``, ``comparison_schemas``, ``verification_schemas``,
  ``dependencies`` and ``errors``.
- ``service``: submit, act, change, delete; ``reader``: histories, events, reports, logs; ``scope``: visibility and
  ownership, for both; ``housekeeping``: what is deleted after a while.
- ``submission``: from a spec to queued runs; ``patches``: merge patches of specs.
- ``queries``: SQL, one module for each kind of row; ``run``: what services return, and the metadata that clients set.
- ``states``: the table of transitions; ``actions``: what clients do with existing runs; ``students``: runs that wait
  for teachers or weights; ``extend``, ``verification``: runs derived from a run; ``ending``: why runs ended;
  ``saved_weights``: when runs save which weights.
- ``queue``: unfinished runs in claim order, with estimates.
- ``pages``: queries and cursors of lists; ``filters``: the filter language; ``json_paths``: the fields it can name.
- ``comparison``: runs side by side, and which of their series are like for like; ``differences`` of specs.
- ``history_formats``, ``thinning``: histories as files and for charts; ``advice``: diagnosis and what to try next,
  from ``suggestions``.
"""
