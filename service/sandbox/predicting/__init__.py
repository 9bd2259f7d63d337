"""The predictor process: computes predictions and draws pictures, without HTTP, SQL or torch.

- ``process``: serves the orders of ``messages``; ``model_cache``: models and datasets in
  memory; ``loaded_models``: predictions of models.
- ``outputs``: of all rows of a split; ``neighbors``: those of models that keep their training rows.
- ``table_rows``: rows of typed tables in requests; ``dataset_rows``: rows of datasets; ``matching``: of other ones.
- ``evaluations``: models on other data, and the importance of columns, by the formulas of ``scores`` and ``guessing``.
- ``curves``, ``grids``: pictures, in the colors of ``themes``; ``drawings``: the grids of chosen and of wrong rows.
"""
