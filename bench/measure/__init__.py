"""The writing half: from a row of the registry to a verified, timed result. Never imports views."""
