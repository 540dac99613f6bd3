"""Holds what commands ask and say before they act."""
