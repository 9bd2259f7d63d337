"""The parser of uploads: a sandboxed process, and the only code that interprets a client's bytes.

It gets a directory with the files ``body`` and ``reading.json``, and writes ``data.safetensors`` and ``report.json``
there. It imports neither the rest of the service nor torch.

- ``reader``: from a file to a dataset; ``options``, ``limits``, ``refusals``: its input, limits and errors;
  ``columns``: a typed table in memory.
- ``typed_tables``: from a file to a typed table; ``raw_columns``: columns before their types are decided, by
  ``type_inference`` with ``missing``, ``number_texts`` and ``date_texts``.
- ``known_columns``, ``prediction_files``: rows with the columns of a model, and files of them with its predictions.
- ``packed_files`` and ``table_formats``: the bytes of a table, and their format.
- ``delimited_files`` with ``text_streams``, ``dialects``, ``headers`` and ``column_builders``; ``arff_files``,
  ``npy_files``; ``workbooks`` with ``cell_columns``; ``arrow_files``, ``parquet_files`` with ``arrow_columns``: the
  formats of tables.
- ``archives``, ``npz`` with ``array_names`` and ``npy_arrays``, ``images`` with ``image_folders`` and
  ``class_subsets``: the formats, as ``sources``.
- ``table_datasets``: from a typed table to a dataset, with ``roles``, ``series``, ``table_splits``, ``table_files``,
  ``table_warnings``, ``table_previews``.
- ``targets``, ``splits``, ``previews``, ``writer``: target, training and test part, preview, and the stored file.
"""
