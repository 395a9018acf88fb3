//! Programs that other people wrote: the real peers of a proxy. A test that needs an absent one says so.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A program found on the `PATH`.
#[derive(Clone, Debug)]
pub(crate) struct Tool(PathBuf);

impl Tool {
    /// Finds `name`, or says aloud that the calling test is skipped without it.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        if found.is_none() {
            skip(&format!("{name} is not installed"));
        }
        found.map(Tool)
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// Runs to the end; panics with its output when it fails.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {arguments:?}: {}\n{stderr}", output.status);
        output
    }
}

/// Says aloud that the calling test could not be run here.
pub(crate) fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED: {test}: {why}");
}
