"""The reading half: saved runs and their analysis as text, Markdown, JSON, SVG and HTML."""
