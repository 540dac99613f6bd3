"""How the board becomes the situation: everything that is judged from readings, beside the signals."""
