"""A labeled set of loss curves, on which verdicts of the diagnosis are counted.

- ``labels``: the rule that gives each curve its expected verdict, from the truth behind it
- ``simulated``: curves of known shape with noise; ``trained``: small real runs
- ``__main__``: writes the set, and prints a confusion table of this or an earlier diagnosis
- ``arms``: error and power of the diagnosis over seeds
"""
