"""What the project is measured against, written without it."""
