"""Webhooks: what happened is told to the addresses that asked for it, signed, at least once, and nowhere else."""
