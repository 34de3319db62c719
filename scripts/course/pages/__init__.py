"""RECORD → PAGE: fills pages from records, and refuses what may not be typed."""
