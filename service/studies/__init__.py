"""Studies: many runs asked for at once, and what comparing them says."""
