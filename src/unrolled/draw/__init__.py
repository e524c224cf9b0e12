"""Pictures of a recurrence: reduce → arrange → route → scene → svg."""
