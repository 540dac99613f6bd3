"""Draws charts: a number over some time, and the list of numbers that can be drawn."""
