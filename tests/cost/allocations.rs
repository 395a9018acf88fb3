//! Heap allocations, counted in this process by dhat.

use std::env;
use std::path::Path;

use weir::clock::Clock;
use weir::config;
use weir::metrics::Metrics;
use weir::policy::ListenAddress;
use weir::proxy::{Options, Proxy};

use crate::load::Clients;

const WARM_UP: u32 = 300;
const ROUNDS: usize = 9;
const REQUESTS: u32 = 100;

/// Starts counting, for the rest of the process. With `DHAT_FILE=path`, where everything was allocated is written there
/// at the end, for dhat's viewer.
pub(crate) fn begin() -> dhat::Profiler {
    match env::var_os("DHAT_FILE") {
        Some(path) => dhat::Profiler::builder().trim_backtraces(Some(60)).file_name(path).build(),
        None => dhat::Profiler::builder().testing().build(),
    }
}

/// Allocations for each request on a kept connection, once it and all around it are warm. The least of several
/// rounds, as weir does some work on its own every second.
pub(crate) fn per_request(config: &str, status: u16) -> f64 {
    let policy = config::from_str("weir.toml", config, Path::new(".")).unwrap().policy;
    let proxy = Proxy::start(policy, Options::new(Clock::start(), Metrics::new())).unwrap();
    let address = proxy.addresses().first().and_then(ListenAddress::ip).unwrap();
    let mut clients = Clients::connect(address, 1);
    clients.ask(WARM_UP, status);
    let least = (0..ROUNDS).map(|_| {
        let before = dhat::HeapStats::get().total_blocks;
        clients.ask(REQUESTS, status);
        dhat::HeapStats::get().total_blocks - before
    });
    let least = u32::try_from(least.min().unwrap()).unwrap();
    f64::from(least) / f64::from(REQUESTS)
}
