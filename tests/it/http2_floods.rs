//! Floods of HTTP/2, frame by frame.
