"""The dashboard's pages.

- ``runs``: the list, one run, the form of a new run, and the API reference; ``studies``: the list, one study, and the
  form of a new study; ``queue``: unfinished runs and workers; ``settings``: tokens and webhooks.
- ``compare``: any runs side by side.
- ``datasets``: the list and one dataset.
- ``reproductions``: the list and one reproduction; ``reproduction_reports``: its results as one file.
- ``documentation``: its pages and its search.
- ``reports``: a run or a study as one file; ``sign_in``: the sign-in page and the browser's session.
"""
