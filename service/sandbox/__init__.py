"""Sandboxed processes: child processes with limits on memory and time, and without the service's secrets.

- ``parser`` starts ``parsing`` for every upload: the only code that interprets a client's bytes.
- ``predictor`` keeps one ``predicting`` process warm, which computes predictions and draws pictures; requests to it
  wait in ``serial_queue``.
"""
