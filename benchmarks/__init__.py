"""Measurements against peers, kept with hardware, versions, n and spread."""
