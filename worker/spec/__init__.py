"""Specs of runs and their parts, importable without torch.

``run`` is the whole spec with its hashes and keys, ``part`` the base of all parts, ``families`` the interface of each
kind of part, ``teachers`` the runs that a student learns from. The folders ``datasets``, ``models``, ``losses``,
``preparations``, ``regularizers``, ``optimizers``, ``schedules`` and ``stops`` hold one file per part.
"""
