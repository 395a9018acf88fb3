//! What deploy/ says, held against the program that it deploys. (`.ci/run deploy` has systemd itself verify the
//! units; a container engine is needed for no test, so the Dockerfile is read as text.)

use std::path::Path;
use std::time::Duration;

use weir::config;
use weir::policy::Policy;

const SERVICE: &str = include_str!("../deploy/systemd/weir.service");
const SOCKET: &str = include_str!("../deploy/systemd/weir.socket");
const DOCKERFILE: &str = include_str!("../deploy/docker/Dockerfile");
const DOCKERIGNORE: &str = include_str!("../.dockerignore");

/// Promise: the unit asks for no privilege. Each setting that this names closes a door of its own; systemd.exec(5)
/// says which.
#[test]
fn the_service_gives_weir_no_privilege() {
    for (key, value) in [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("NoNewPrivileges", "yes"),
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
    ] {
        assert_eq!(settings(SERVICE, key), [value], "{key} in weir.service");
    }
    assert!(settings(SERVICE, "User").is_empty(), "DynamicUser makes the user");
}

/// Promise: a restart refuses no connection: the socket outlives the service, and the service needs it.
#[test]
fn the_socket_outlives_the_service() {
    assert_eq!(settings(SERVICE, "Requires"), ["weir.socket"]);
    assert!(settings(SERVICE, "After")[0].contains("weir.socket"), "the socket must be there first");
    assert_eq!(settings(SOCKET, "ListenStream").len(), 1, "one inherited socket serves all cores");
    assert!(settings(SOCKET, "PartOf").is_empty(), "PartOf would close the port with the service");
    assert_eq!(settings(SOCKET, "TriggerLimitIntervalSec"), ["0"]);
}

/// Promise: weir finds the socket that systemd opened for it, and systemd waits for it longer than it takes to stop.
#[test]
fn the_units_agree_with_the_configuration_beside_them() {
    let policy = load("deploy/systemd/weir.toml");
    let addresses: Vec<String> = policy.listen.proxy.iter().map(|l| l.address.to_string()).collect();
    assert_eq!(addresses, settings(SOCKET, "ListenStream"));

    let stopping = policy.shutdown.drain_delay + policy.shutdown.drain_timeout;
    let patience: u64 = settings(SERVICE, "TimeoutStopSec")[0].parse().expect("seconds");
    assert!(
        Duration::from_secs(patience) > stopping,
        "systemd kills weir after {patience} s, it needs {stopping:?}"
    );
}

/// Promise: the image works as it comes: reachable from outside its container on the port it exposes, and gone
/// before `docker stop` kills it (after 10 s, unless it is told otherwise).
#[test]
fn the_image_agrees_with_its_configuration() {
    let policy = load("deploy/docker/weir.toml");
    let listener = policy.listen.proxy.first().expect("it listens");
    let address = listener.address.ip().expect("it listens on a port");
    assert!(address.ip().is_unspecified());
    let exposed = DOCKERFILE.lines().find_map(|line| line.strip_prefix("EXPOSE "));
    assert_eq!(exposed, Some(address.port().to_string().as_str()));
    assert!(policy.shutdown.drain_delay + policy.shutdown.drain_timeout < Duration::from_secs(10));
}

/// Promise: a wrong configuration is reported once, not in a loop of restarts (`weir check` and `weir run` exit 2).
#[test]
fn a_wrong_configuration_is_not_retried() {
    assert_eq!(settings(SERVICE, "RestartPreventExitStatus"), ["2"]);
    assert_eq!(settings(SERVICE, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
}

/// Promise: the image runs as nobody, and only from images whose version is named.
#[test]
fn the_image_is_pinned_and_not_root() {
    let froms: Vec<&str> = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(froms.len(), 2, "one stage to build, one to run");
    for image in froms.iter().filter_map(|from| from.split(' ').next()) {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{image} must name a version");
    }
    let user = DOCKERFILE.lines().rev().find_map(|line| line.strip_prefix("USER "));
    let id = user.and_then(|user| user.split(':').next()).and_then(|id| id.parse::<u32>().ok());
    assert!(
        id.is_some_and(|id| id != 0),
        "USER must be a number (Kubernetes' runAsNonRoot needs one), not root"
    );
}

/// Promise: the image is built with a compiler that this crate accepts.
#[test]
fn the_image_is_built_with_an_accepted_compiler() {
    let needed = version(env!("CARGO_PKG_RUST_VERSION")).expect("Cargo.toml has rust-version");
    let (_, tag) = DOCKERFILE.split_once("FROM rust:").expect("the builder is the official image");
    let builder = tag.split('-').next().and_then(version).expect("rust:MAJOR.MINOR-…");
    assert!(builder >= needed, "rust {builder:?} is older than rust-version {needed:?}");
}

/// Promise: the image can be built: what cargo and the image need is in the build context.
#[test]
fn the_build_context_is_complete() {
    let kept: Vec<&str> = DOCKERIGNORE.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for needed in
        ["Cargo.toml", "Cargo.lock", "build.rs", "src", "benches", "config", "deploy/docker/weir.toml"]
    {
        assert!(kept.contains(&needed), ".dockerignore must keep {needed}: cargo or the image needs it");
    }
}

/// The policy of a configuration in this package, which must be accepted.
fn load(path: &str) -> Policy {
    let loaded = config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    loaded.expect("weir accepts what deploy/ comes with").policy
}

/// The values of every line `key=…` of a unit file.
fn settings<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// `1.95` or `1.95.0` as numbers that compare.
fn version(written: &str) -> Option<(u32, u32)> {
    let mut parts = written.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}
