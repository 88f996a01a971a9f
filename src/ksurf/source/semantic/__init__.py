"""The semantic layer: what each token of a file is, in one compiled unit, as the compiler's front end sees
it."""
