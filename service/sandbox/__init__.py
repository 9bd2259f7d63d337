"""Processes with limits: parsing uploads, predicting and drawing."""
