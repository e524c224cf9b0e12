"""From a pass of the plan to statements over buffers, which a compiled engine prints in its language.

    Pass ──lower──▶ statements over values ──place──▶ statements over buffers ──(engine)──▶ text

``lower`` schedules the values of a pass (schedule.py), puts them into loops (fuse.py, lines.py) and decides which of
them are stored (storage.py). ``place`` gives each stored value a buffer (assignment.py) and adds the copies that this
needs. Neither knows sizes, a precision or a language.
"""
