"""Times of both sides, taken in alternation."""
