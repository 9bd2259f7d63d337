"""Statements on runs and on all that is recorded of them."""
