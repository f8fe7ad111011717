"""The plain PyTorch loop that the project is measured against."""
