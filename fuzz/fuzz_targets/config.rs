//! Any text as a configuration: reading it never panics, every error points into a file that was read, and what compiles
//! can be bound to an engine.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir::config;
use weir::engine::Engine;

fuzz_target!(|text: &str| {
    // A device has no end.
    if text.contains("/dev") {
        return;
    }
    match config::from_str("weir.toml", text, Path::new("/nowhere")) {
        Ok(loaded) => {
            let engine = Engine::new(1 << 20);
            drop(engine.bind(Arc::new(loaded.policy)));
        }
        Err(found) => {
            assert!(found.errors() > 0);
            for one in &found.list {
                let file = found.file(one.place.file).expect("a file that was read");
                assert!(file.text.get(one.place.start..one.place.end).is_some(), "{one:?}");
            }
            assert!(!found.to_string().is_empty());
        }
    }
});
