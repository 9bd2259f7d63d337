"""The training plane: knows torch, never HTTP or SQL."""
