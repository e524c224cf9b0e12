"""From a pass of the plan to statements over buffers, which a compiled engine prints in its language."""
