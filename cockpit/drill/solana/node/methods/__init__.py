"""Answers JSON-RPC methods, one module a subject."""

from __future__ import annotations

from cockpit.drill.solana.node.endpoint import Registry
from cockpit.drill.solana.node.methods import accounts, cluster, history, sending

METHODS: Registry = {**cluster.METHODS, **accounts.METHODS, **history.METHODS, **sending.METHODS}

__all__ = ["METHODS"]
