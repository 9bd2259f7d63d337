"""Predictions and pictures, made in a limited process of its own: neither HTTP nor SQL, and never torch."""
