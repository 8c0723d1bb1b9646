"""Rounds of calls, pairs of them in alternation, and when a minimum can be believed."""
