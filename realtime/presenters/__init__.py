"""What the pages show: rows for templates and for JSON, made with a bounded number of queries."""
