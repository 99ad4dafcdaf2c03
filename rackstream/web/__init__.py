"""The web page on the console: the view model as people look at it, live, and the same commands as the API's.

A view is a module with a function that builds it; `frame` is around each, `grid` and `charts` are what they are made
of, `cells` makes text of values. It is drawn by NiceGUI: elements live on the server, and only what changed is sent.
"""
