"""How a network learns, measured in it: how far back, how stably, with which of its units, and what it remembers."""
