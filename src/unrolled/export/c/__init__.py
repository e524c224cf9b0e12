"""C files: a network as C99 that depends on nothing, with a proof that it computes the same."""
