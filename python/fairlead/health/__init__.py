"""Checks that run in Python. tcp and http checks run in the engine."""
