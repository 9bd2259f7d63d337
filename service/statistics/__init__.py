"""Statistics of paired comparisons; no database, no HTTP."""
