"""Reads the oracle program on Solana: what its accounts, events and bundles mean.

Nothing here talks to a network.
"""
