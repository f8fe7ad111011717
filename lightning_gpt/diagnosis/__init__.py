"""Examines whether text, recipe and machine suit each other, and says so in plain words."""

from lightning_gpt.diagnosis.examination import examine
from lightning_gpt.diagnosis.words import in_words

__all__ = ["examine", "in_words"]
