"""Thin routes: parse, delegate, present. No SQL."""
