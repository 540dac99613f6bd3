"""The screen's owner: the Textual App and its controllers, which stand between panels and session."""
