//! The admin listener: metrics, health, the running policy. Knows the engine and the policy, never the proxy.
