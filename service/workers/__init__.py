"""The service's side of workers: claims, leases, measurements.

- ``routes``, ``schemas``: HTTP, to list workers.
- ``jobs``: claim runs, record their results, expire leases; ``queue``: what dispatchers need to start workers.
- ``queries``: SQL on leases and workers; ``recording``: SQL on epochs, and a run's last and best values.
"""
