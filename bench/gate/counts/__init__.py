"""Instructions of both sides, counted."""
