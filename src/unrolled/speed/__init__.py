"""How fast: the same recurrences by this library and by others, in turns, beside what the machine can do at most.

Nothing is loaded here: a contestant that lives in an environment without torch imports ``loops`` and ``process`` alone.
"""
