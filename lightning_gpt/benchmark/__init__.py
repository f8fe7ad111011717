"""What the benchmark is made of: its measurements, the plain PyTorch loop beside them, its table, the law's runs."""
