"""Shows a run on a local page while it trains. Reads the run's folder alone, so that it costs the run nothing."""
