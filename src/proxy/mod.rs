//! The data path: from an accepted connection to the last byte of the response.

#[doc(hidden)]
pub mod forwarded;
#[doc(hidden)]
pub mod head;
