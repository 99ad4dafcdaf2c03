"""Web page of the console: the live view, and the same commands as the REST API.

Each view is a module whose `build` function creates it. `layout` has the frame around every view, `grid` and `charts`
the elements, and `cells` turns values into HTML. NiceGUI keeps elements on the server and sends only what changed.
"""
