"""Images and arrays of numbers.

- ``archives``: zip files, checked before anything is unpacked; ``pictures`` in their ``folders``.
- ``npz`` with ``array_names`` and ``npy_arrays``.
- ``class_subsets``: the rows of some classes.
"""
