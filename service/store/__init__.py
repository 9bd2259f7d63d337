"""The database: what all features share. Only services and queries use it.

- ``database``: open, migrate, and transactions; ``tables``: the tables; ``rows``: the type of a row.
- ``events``, ``idempotency_keys``: statements on tables that belong to no feature.
- ``ledger``: which studies have judged on which test parts.
- ``statuses``: the statuses of a run; ``sqlite_json``: paths into JSON on SQLite.
"""
