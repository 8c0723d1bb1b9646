"""Statistics as pure functions; the ground floor."""
