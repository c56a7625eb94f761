//! Network namespaces and probes for tests and benchmarks.
