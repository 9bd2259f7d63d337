"""Uploaded datasets: received, read by a limited process, kept by their content, listed, previewed, deleted."""
