"""The predictor process: computes predictions and draws pictures, without HTTP, SQL or torch.

``process`` serves the orders of ``messages``; ``model_cache`` holds models and datasets; ``curves``, ``grids`` and
``themes`` draw.
"""
