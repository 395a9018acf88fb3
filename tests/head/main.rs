//! Requests have one reading, however the bytes are cut, and it is the same as hyper's.

#![cfg(feature = "proxy")]

mod against_hyper;
mod reading;
mod smuggling;
mod splits;
