"""The reading half: everything here is a function of saved runs alone. Imports only bench.runs."""
