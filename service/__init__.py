"""The control plane: knows HTTP and SQL, never torch."""
