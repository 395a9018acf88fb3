//! Logs: diagnostics by tracing, and the access log with its own writer.
