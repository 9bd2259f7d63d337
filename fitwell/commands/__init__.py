"""The commands of ``fitwell``, a module for each kind of work."""
