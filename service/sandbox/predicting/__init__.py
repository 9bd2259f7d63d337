"""The predictor process: computes predictions and draws pictures, without HTTP, SQL or torch.

- ``process``: serves the orders of ``messages``; ``model_cache``: models and datasets in memory.
- ``table_rows``: rows of typed tables in requests.
- ``evaluations``: models on other data, and the importance of columns, by the formulas of ``scores``.
- ``curves``, ``grids``: pictures, in the colors of ``themes``.
"""
