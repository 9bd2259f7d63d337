"""Shared HTTP code: authentication, bodies, parameters, idempotency, problems, conditional requests."""
