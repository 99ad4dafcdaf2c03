"""The view in a terminal: `rackstream top`, and what the demo shows of it.

`layout` fits tables into a width, `tables` and `wholes` say what is in them: pure, and of Rich alone. `app` is the live
view on Textual, `frame` one picture of it.
"""
