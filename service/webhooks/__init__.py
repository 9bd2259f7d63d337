"""Webhooks: signed messages about events, delivered at least once to registered URLs."""
