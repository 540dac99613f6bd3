"""Explains in words why a workload or a pod is as it is."""
