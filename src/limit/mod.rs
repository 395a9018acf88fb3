//! The cells behind limits: pure, bounded, `now` is an argument. Only the engine calls them.
