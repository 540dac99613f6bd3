"""Measures what the cockpit says about a situation: the right runbook first, and no false alarm."""
