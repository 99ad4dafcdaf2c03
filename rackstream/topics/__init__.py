"""Reading of topics: schemas by id, lag, live tail."""
