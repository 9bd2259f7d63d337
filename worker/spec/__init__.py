"""What to train: a run's spec and its parts. Importable without torch."""
