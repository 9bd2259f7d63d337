"""Trained models of runs: predictions, calibration, pictures, and downloads as weights or ONNX.

- ``routes``, ``picture_routes``, ``parameters``, ``schemas``, ``calibration_schemas``, ``dependencies``, ``errors``:
  HTTP.
- ``service``: predictions, calibration, drawings and exports, computed by the sandboxed predictor process.
- ``calibration``: the reliability of a model's probabilities.
- ``weights``: the files of a run's model; ``exports``: the cache of ONNX files; ``inputs``: rows sent by clients.
"""
