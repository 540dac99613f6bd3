"""Keeps what signals were, and answers what a number was over some time."""
