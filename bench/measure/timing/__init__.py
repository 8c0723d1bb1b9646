"""Rounds of calls, pairs of them in alternation, and when the machine is quiet."""
