"""Holds plain, immutable values that flow one way from the sources to the panels.

No I/O and no behaviour beyond themselves.
"""
