"""The budgets of the design, measured: every row is a ratio (or a bound) within one run on one
machine.
"""
