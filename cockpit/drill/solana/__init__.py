"""Simulates Solana: a ledger of the oracle program's transactions, behind real protocols.

Its servers speak JSON-RPC and WebSocket.
"""
