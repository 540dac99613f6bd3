"""Why a workload or a pod is as it is, in words."""
