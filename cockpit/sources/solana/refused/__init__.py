"""Examines reveals that were refused for their signatures."""
