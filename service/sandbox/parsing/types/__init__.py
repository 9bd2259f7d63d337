"""The types of columns, decided by their values.

- ``inference``: number, date, boolean, category, text or id.
- ``requests``: the options that decide it, with the column's role.
- ``ids``: columns of numbers that only identify or number the rows.
- ``cells``: trimmed, and without those that stand for a missing value.
- ``numbers``, ``dates``, ``missing``: how texts are read as numbers and dates, and which stand for a missing value.
"""
