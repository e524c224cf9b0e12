"""From a recurrence to others, to an unfolded graph, to equations, and to values."""
