"""Owns the screen: the Textual App and its controllers, which join panels and session."""
