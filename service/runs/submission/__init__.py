"""From a submitted spec to a queued run."""
