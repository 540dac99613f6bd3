"""Finds what was changed, since when it is bad, and which change explains that."""
