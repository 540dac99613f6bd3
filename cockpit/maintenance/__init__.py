"""Makes rounds of routine maintenance (runbook 15) and goes through the deploy checklist (16.1).

They fill in what can be measured and ask the rest.
"""
