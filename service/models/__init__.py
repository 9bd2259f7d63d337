"""Trained models of runs: predictions, pictures, and downloads as weights or ONNX.

- ``routes``, ``picture_routes``, ``parameters``, ``schemas``, ``dependencies``, ``errors``: HTTP.
- ``service``: predictions, drawings and exports, computed by the sandboxed predictor process.
- ``weights``: the files of a run's model; ``exports``: the cache of ONNX files; ``inputs``: rows sent by clients.
"""
