//! The head tap: one reading, however the bytes are cut, and the same as hyper's.

#![cfg(feature = "proxy")]

mod against_hyper;
mod smuggling;
mod splits;
