"""Teaches with the drill: a referee who measures, lessons that check what was done, scores."""
