"""What the fleet looks like now: the one view model that terminal, page and API show.

`feed` reads Kafka into `fold.View`, which answers questions in the shapes of `answers`. Nothing is computed twice, and
of 10,000 hosts only what is shown is decoded: the rest is kept as the bytes it came in.
"""
