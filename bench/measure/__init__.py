"""The writing half: from a registry row to a verified, timed result. Never imports views."""
