"""The dashboard: pages on top of the services that the API uses.

- ``pages``: the routes, one module each; ``parameters``: their query parameters; ``listing``: the list of runs.
- ``snapshots``: the epoch that a run's page displays; ``rendering``: templates and their filters;
  ``summaries``, ``varied_fields``, ``code``: runs and studies as text; ``run_studies``: the study that some runs would
  be.
- ``figures``: the SVG charts of reports.
- ``documentation``: the pages of the documentation, and its search.
- ``assets``: static files; ``middleware``: security headers, and error pages for browsers.

HTML is in ``templates``, scripts and style sheets are in ``static``.
"""
