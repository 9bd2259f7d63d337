"""The importance of columns over the runs of a study: the design of ``studies``, measured by ``models``.

- ``routes``, ``parameters``, ``schemas``, ``dependencies``: HTTP.
- ``service``: which runs are measured, within a request's time; their figures are summarized by
  ``service.statistics``.
"""
