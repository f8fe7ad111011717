"""Do text, recipe and machine suit each other? What is examined, and how it is said."""

from lightning_gpt.diagnosis.examination import examine
from lightning_gpt.diagnosis.words import in_words

__all__ = ["examine", "in_words"]
