"""The database: tables, statements, transactions. Only the rules of runs use it."""
