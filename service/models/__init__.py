"""Trained models of runs: predictions, calibration, pictures, and downloads as weights or ONNX.

- ``routes``, ``file_routes``, ``picture_routes``, ``snapshot_routes``, ``parameters``, ``schemas``,
  ``calibration_schemas``, ``evaluation_schemas``, ``file_types``, ``dependencies``, ``errors``: HTTP.
- ``service``: predictions, calibration, drawings and exports, computed by the sandboxed predictor process;
  ``refusals``: its refusals as HTTP errors.
- ``calibration``: the reliability of a model's probabilities.
- ``snapshots``: the confusion matrix and the parameters of any saved model.
- ``files``: files and other datasets, and the importance of columns (kept in a ``result_cache``); ``scratch``:
  directories for files.
- ``outputs``: a model's outputs for all rows of a split.
- ``weights``: the files of a run's model; ``exports``: the cache of ONNX files; ``inputs``: rows sent by clients.
"""
