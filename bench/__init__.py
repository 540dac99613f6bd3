"""Measures the speed budgets of docs/performance.md.

Every row is a ratio (or a bound) within one run on one machine.
"""
