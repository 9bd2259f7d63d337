"""Typed tables, from any format to a dataset.

- ``columns``: a table in memory; ``reading``: from a file to one.
- ``datasets``: from a table to a dataset, with ``roles``, ``series``, ``splits``, ``files``, ``warnings`` and
  ``previews``.
- ``known_columns``, ``prediction_files``: rows with the columns of a model, and files of them with its predictions.
"""
