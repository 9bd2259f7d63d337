"""The dashboard's pages.

- ``runs``: the list, one run, the form of a new run, and the API reference; ``studies``: the list and one study.
- ``datasets``: the list and one dataset.
- ``reproductions``: the list and one reproduction; ``reproduction_reports``: its results as one file.
- ``reports``: a run or a study as one file; ``sign_in``: the sign-in page and the browser's session.
"""
