"""Tokens: who may ask for what."""
