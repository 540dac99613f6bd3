"""Knows what the operator has seen, and which key may confirm it."""
