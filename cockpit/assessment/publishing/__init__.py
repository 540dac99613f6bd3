"""Judges publishing: whether it is stopped and by whom, whether it is safe, what is owed back."""
