"""Producers read sources and publish raw records. They know `runtime` and `schemas`, and no other edge."""
