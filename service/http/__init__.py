"""What all routes share: authentication, bodies, idempotency, problems, conditional requests."""
