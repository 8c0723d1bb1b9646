"""What saved runs say, as data. Draws nothing."""
