"""Fleet file: models, validation, importers for other formats, reload at run time."""
