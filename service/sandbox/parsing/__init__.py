"""The parser of uploads: a sandboxed process, and the only code that interprets a client's bytes.

It gets a directory with the files ``body`` and ``reading.json``, and writes ``data.safetensors`` and ``report.json``
there. It imports neither the rest of the service nor torch.

- ``reader``: from a file to a dataset; ``options``, ``limits``, ``refusals``: its input, limits and errors.
- ``formats``, ``types``, ``tables``: tables, from bytes to typed columns to a dataset.
- ``images``: pictures and arrays, as ``sources``.
- ``targets``, ``splits``, ``previews``, ``writer``: target, training and test part, preview, and the stored file.
"""
