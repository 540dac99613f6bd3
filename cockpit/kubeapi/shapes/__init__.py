"""Holds shapes and conversions of single kinds that are more than a few fields."""
