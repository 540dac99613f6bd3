"""Lists what a step's parameter can be, just now."""
