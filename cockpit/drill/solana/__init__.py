"""The drill's Solana: a ledger of the oracle program's transactions, and servers that speak
JSON-RPC and WebSocket over it.
"""
