"""Holds everything that draws: Textual widgets over `cockpit.model` values.

No client, no query, no history of its own.
"""
