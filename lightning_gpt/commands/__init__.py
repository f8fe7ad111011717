"""The commands behind the one door, `lightning_gpt.cli`; each is imported only when it is called."""
