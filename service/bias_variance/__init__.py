"""Bias and variance of the predictions of a study's arms: the design of ``studies``, predicted by ``models``.

- ``routes``, ``parameters``, ``schemas``, ``dependencies``: HTTP.
- ``service``: which runs are predicted, within a request's time; ``predicted_runs``: the runs of an arm,
  and what refuses them. The parts are computed by ``service.statistics``.
"""
