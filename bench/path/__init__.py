"""Follows the next step (▶) through every scenario, with the default of each form."""
