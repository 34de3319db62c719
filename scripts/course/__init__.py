"""The machine behind the course, in the order of the data: records, pages, site, versions."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the project's root
