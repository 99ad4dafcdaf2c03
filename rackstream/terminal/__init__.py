"""Terminal UI: `rackstream top`, and the tables that the demo shows.

`layout` fits tables into a width; `list_tables` and `detail_tables` fill them. All three are pure and need Rich only.
`app` is the live UI, built on Textual; `header` has the summary and the one-shot picture of `top --once`.
"""
