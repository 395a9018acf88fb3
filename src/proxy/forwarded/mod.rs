//! Forwarding headers: who the client is said to be, and what the application is told.
//!
//! Only a trusted proxy is believed, and only in the one header that was configured. Every other header in which
//! some application looks for an address is removed, whoever sent it; what the application finds is weir's word.

mod believed;
mod rewrite;

pub use believed::believed_client;
pub use rewrite::{Hop, Removed, Scheme, remove_spellings, rewrite};
