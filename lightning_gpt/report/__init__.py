"""A run on one page: what is found out about it, and how that becomes HTML."""
