//! From what was written to what can run, or every error at once.
