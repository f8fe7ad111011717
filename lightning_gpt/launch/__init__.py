"""From what is asked to what runs, in three steps that can be called apart: configure, prepare, run.

`configuration` reads what was typed, by what `options` knows, from `recipe`s and from what was `found` beside a
checkpoint; `preparation` makes and `checks` all of it; `running` runs it; `python` is the door for Python.
"""
