"""The commands, a file each; `lightning_gpt.cli` imports one only when it is called."""
