"""The loop in C: rendered from the plan as readable text, compiled by the machine's own compiler, cached on disk."""
