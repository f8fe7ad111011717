"""Turns options into a run, in three steps that can be called separately: configure, prepare, run.

`arguments`, `types`, `completion` and `program` know command lines only and start without Lightning, so nothing is
imported here.
"""
