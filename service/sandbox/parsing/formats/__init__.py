"""The formats of tables: each gives raw columns, before their types are decided.

- ``packed_files`` and ``table_formats``: the bytes of a table, gzipped or in a zip file, and their format.
- ``delimited_files`` with ``text_streams``, ``dialects``, ``headers`` and ``column_builders``: CSV and its relatives.
- ``arff_files``; ``npy_files``; ``workbooks`` with ``cell_columns``; ``arrow_files`` and ``parquet_files`` with
  ``arrow_columns``.
- ``raw_columns``: the result.
"""
