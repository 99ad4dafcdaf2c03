"""Producers read sources and publish raw records. They import `runtime` and `schemas` only."""
