"""The drill as a school: a referee who measures, lessons that check what was really done, and the
history of scores.
"""
