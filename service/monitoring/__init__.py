"""Health, metrics and traces of the service.

- ``health``: the health and readiness checks.
- ``metrics``: ``/metrics`` for Prometheus; ``stats``: the state of the whole service; ``queries``: its SQL.
- ``tracing``: OpenTelemetry spans of requests and SQL statements.
"""
