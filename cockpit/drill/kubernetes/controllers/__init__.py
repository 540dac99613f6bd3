"""Moves the stored objects: the controllers and the kubelet, driven by the simulated clock."""
