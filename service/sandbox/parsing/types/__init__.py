"""The types of columns, decided by their values.

- ``inference``: number, date, boolean, category, text or id.
- ``numbers``, ``dates``, ``missing``: how texts are read as numbers and dates, and which stand for a missing value.
"""
