//! What was written: TOML into typed configuration, with the place of everything kept for error messages.
