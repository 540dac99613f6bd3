"""Decides what is told of signals and stages: what recovers, and where it stops."""
