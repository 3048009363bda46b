"""One folder for each thing outside; they never import each other."""
