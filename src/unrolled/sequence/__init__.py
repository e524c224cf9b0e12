"""Plain tensors over time: states, and how sequences are batched. Knows no circuit."""
