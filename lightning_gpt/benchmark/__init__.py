"""What the benchmark is made of: the plain PyTorch loop on its other side, its table, the law's runs."""
