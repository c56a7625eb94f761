//! The library behind the `palisade` binary.
