"""Reports a run on one page: measures its network, and renders HTML."""
