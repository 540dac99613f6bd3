"""Tries every step against every drill scenario, and judges what the cockpit says it has proven."""
