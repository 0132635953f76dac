"""The claims of the SENSIA paper: the plan of runs that measure them, and the verdicts."""
