"""From what is asked to what runs, in three steps that can be called apart: configure, prepare, run.

`arguments`, `types`, `completion` and `program` know command lines only and start without Lightning, so nothing is
imported here.
"""
