"""The site's own search: what a build writes for it, and the worker that reads it (README.md)."""
