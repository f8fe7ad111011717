"""Command lines: a function as a command, types of options in plain words, completion. Starts without Lightning."""
