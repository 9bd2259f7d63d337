"""Studies: many runs queued at once (arms × grid × folds × seeds), their comparison, and the choice of an arm.

- ``routes``, ``bodies``, ``schemas``, ``choice_schemas``, ``dependencies``: HTTP.
- ``service``: one transaction per operation; ``queries``: its SQL; ``study``: a study as clients see it; ``errors``.
- ``expansion``: from a study's description to its runs.
- ``measurements``: the runs as measured values, for ``comparison`` (groups against each other) and ``choice`` (the
  arm to use, by the order of ``simplicity`` if several are equally good).
"""
