"""Holds the kinds of step that are carried out: one file each, one row in `model/step_kinds.py`."""
