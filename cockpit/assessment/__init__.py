"""Judges readings: how the board becomes the situation."""
