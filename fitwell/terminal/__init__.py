"""Progress, charts and tables in a terminal."""
