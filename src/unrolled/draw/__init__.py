"""Pictures of a recurrence. The stages: reduce → arrange → route → scene → svg or figure."""
