"""Trained networks in other programs' formats, out and in: a file for each format, and the tables of them.

The programs' libraries are an extra, `pip install -e '.[export]'`, and are imported only when a format needs one.
"""

from lightning_gpt.exchange.table import FORMATS, export, read

__all__ = ["FORMATS", "export", "read"]
