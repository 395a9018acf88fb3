//! Messages of HTTP/1.1 as they are written, the same towards clients and towards servers.
//!
//! What frames a body is written by weir alone, from what it knows of the body: no field of a message can say otherwise.
//! Used by `http1` for responses and by `upstream::http1` for requests.

pub mod body_writer;
pub mod fields;
pub mod outgoing;
pub mod own_message;
