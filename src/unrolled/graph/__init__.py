"""The grammar: sizes, typed nodes, operations, recurrences, and how they are printed and stored."""
