"""Routine maintenance (runbook 15) and the deploy checklist (16.1): rounds that fill in what can be
measured and ask the rest.
"""
