"""PAGE → SITE: what MkDocs is told, and what lies beside the pages."""
