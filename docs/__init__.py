"""Documentation, and what writes its reference."""
