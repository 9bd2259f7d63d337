"""Statements on runs, one module for each kind of row.

runs      submit, find, page through, change and delete runs
epochs    the recorded epochs, row by row
series    each metric of a finished run, packed into one row
reports   what is measured once, when a run finishes
files     checkpoints and weights
logs      the lines that workers log
teachers  which runs teach which students
datasets  the uploaded datasets that runs reference
"""
