"""The control plane: knows HTTP and SQL, never torch.

- ``command_line``: the commands of ``python -P -m service``; ``app``: the application, wired together;
  ``settings``: its settings; ``backup``: a copy of all its data.
- ``runs``, ``studies``, ``datasets``, ``models``, ``events``, ``webhooks``, ``tokens``, ``workers``, ``catalog``,
  ``importance``, ``bias_variance``, ``reproductions``, ``monitoring``: the features; ``web``: the dashboard.
- ``http``: what all routes share; ``store``: what all queries share; ``callers``, ``idempotency``, ``errors``,
  ``pointers``: what all services share.
- ``statistics``: pure functions; ``sandbox``: child processes with limits.
"""
