"""Typed tables: what is stored of an uploaded or bundled table, and how a run prepares it.

- ``schema``: the names and types of the stored columns; ``rows``: their values; ``files``: both in a file.
- ``columns``: the field ``dataset.columns``, how each column becomes features of a model.
- ``fitted``: a preparation fitted on the training rows of a run.

The parts that prepare one type each are in ``worker.spec.preparations``.
"""
