"""The controllers and the kubelet: what makes the stored objects move, driven by the simulated
clock.
"""
