"""When each value of a recurrence is computed: once, before the loop over time, in it, or after it."""
