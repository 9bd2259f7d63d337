"""Exporters of runs to other programs."""
