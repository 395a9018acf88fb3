//! Why a message is refused.

use http::StatusCode;

/// What is wrong with a head or a body. A closed list, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    LineEnding,
    LeadingEmptyLines,
    RequestLine,
    Method,
    Connect,
    Target,
    TargetForm,
    TargetTooLong,
    Version,
    HeadTooLarge,
    TooManyFields,
    Folding,
    FieldName,
    SpaceInFieldName,
    FieldValue,
    HostMissing,
    HostRepeated,
    HostInvalid,
    HostMismatch,
    LengthInvalid,
    LengthRepeated,
    LengthAndCoding,
    CodingRepeated,
    ChunkedNotLast,
    CodingUnknown,
    CodingInOldVersion,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    TrailersTooLarge,
}

impl Fault {
    pub const ALL: [Fault; 31] = [
        Fault::LineEnding,
        Fault::LeadingEmptyLines,
        Fault::RequestLine,
        Fault::Method,
        Fault::Connect,
        Fault::Target,
        Fault::TargetForm,
        Fault::TargetTooLong,
        Fault::Version,
        Fault::HeadTooLarge,
        Fault::TooManyFields,
        Fault::Folding,
        Fault::FieldName,
        Fault::SpaceInFieldName,
        Fault::FieldValue,
        Fault::HostMissing,
        Fault::HostRepeated,
        Fault::HostInvalid,
        Fault::HostMismatch,
        Fault::LengthInvalid,
        Fault::LengthRepeated,
        Fault::LengthAndCoding,
        Fault::CodingRepeated,
        Fault::ChunkedNotLast,
        Fault::CodingUnknown,
        Fault::CodingInOldVersion,
        Fault::ChunkSize,
        Fault::ChunkExtension,
        Fault::ChunkEnd,
        Fault::Trailer,
        Fault::TrailersTooLarge,
    ];

    /// For a metric label: lower case, unique.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::LineEnding => "line-ending",
            Fault::LeadingEmptyLines => "leading-empty-lines",
            Fault::RequestLine => "request-line",
            Fault::Method => "method",
            Fault::Connect => "connect",
            Fault::Target => "target",
            Fault::TargetForm => "target-form",
            Fault::TargetTooLong => "target-too-long",
            Fault::Version => "version",
            Fault::HeadTooLarge => "head-too-large",
            Fault::TooManyFields => "too-many-fields",
            Fault::Folding => "folding",
            Fault::FieldName => "field-name",
            Fault::SpaceInFieldName => "space-in-field-name",
            Fault::FieldValue => "field-value",
            Fault::HostMissing => "host-missing",
            Fault::HostRepeated => "host-repeated",
            Fault::HostInvalid => "host-invalid",
            Fault::HostMismatch => "host-mismatch",
            Fault::LengthInvalid => "length-invalid",
            Fault::LengthRepeated => "length-repeated",
            Fault::LengthAndCoding => "length-and-coding",
            Fault::CodingRepeated => "coding-repeated",
            Fault::ChunkedNotLast => "chunked-not-last",
            Fault::CodingUnknown => "coding-unknown",
            Fault::CodingInOldVersion => "coding-in-old-version",
            Fault::ChunkSize => "chunk-size",
            Fault::ChunkExtension => "chunk-extension",
            Fault::ChunkEnd => "chunk-end",
            Fault::Trailer => "trailer",
            Fault::TrailersTooLarge => "trailers-too-large",
        }
    }

    /// The status with which the message is refused.
    pub const fn status(self) -> StatusCode {
        match self {
            Fault::TargetTooLong => StatusCode::URI_TOO_LONG,
            Fault::HeadTooLarge | Fault::TooManyFields | Fault::TrailersTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Fault::CodingUnknown | Fault::Connect => StatusCode::NOT_IMPLEMENTED,
            Fault::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the message is too large rather than malformed.
    pub const fn is_too_large(self) -> bool {
        matches!(
            self,
            Fault::TargetTooLong | Fault::HeadTooLarge | Fault::TooManyFields | Fault::TrailersTooLarge
        )
    }

    /// One sentence for the client; holds nothing that it sent.
    pub const fn detail(self) -> &'static str {
        match self {
            Fault::LineEnding => "A line of the request head does not end with CR LF.",
            Fault::LeadingEmptyLines => "The request is preceded by more than one empty line.",
            Fault::RequestLine => {
                "The request line is not a method, a target and a version with one space between each."
            }
            Fault::Method => "The request does not begin with a valid method.",
            Fault::Connect => "This server is not a proxy for CONNECT.",
            Fault::Target => "The request target holds a character that must be percent-encoded.",
            Fault::TargetForm => "The request target is neither a path nor an http or https URL.",
            Fault::TargetTooLong => "The request target is too long.",
            Fault::Version => "Only HTTP/1.1 and HTTP/1.0 are supported on this connection.",
            Fault::HeadTooLarge => "The request head is too large.",
            Fault::TooManyFields => "The request has too many header fields.",
            Fault::Folding => "A header field is continued on another line.",
            Fault::FieldName => "A header field has no valid name.",
            Fault::SpaceInFieldName => "A header field has white space in its name or before the colon.",
            Fault::FieldValue => "The value of a header field holds a control character.",
            Fault::HostMissing => "The request has no Host field.",
            Fault::HostRepeated => "The request has more than one Host field.",
            Fault::HostInvalid => "The host of the request is not a valid host name or address.",
            Fault::HostMismatch => "The Host field and the request target name different hosts.",
            Fault::LengthInvalid => "The Content-Length field is not one decimal number.",
            Fault::LengthRepeated => "The request has more than one Content-Length field.",
            Fault::LengthAndCoding => "The request has both Content-Length and Transfer-Encoding.",
            Fault::CodingRepeated => "The request has more than one Transfer-Encoding field.",
            Fault::ChunkedNotLast => {
                "The last transfer coding is not chunked, or chunked comes before it as well."
            }
            Fault::CodingUnknown => "The only transfer coding supported is chunked.",
            Fault::CodingInOldVersion => "An HTTP/1.0 request cannot have Transfer-Encoding.",
            Fault::ChunkSize => "A chunk of the body does not begin with its size in hexadecimal.",
            Fault::ChunkExtension => "A chunk extension of the body is invalid or too long.",
            Fault::ChunkEnd => "A chunk of the body does not end where its size says.",
            Fault::Trailer => "A trailer field of the body is invalid or not allowed there.",
            Fault::TrailersTooLarge => "The trailer fields of the body are too many or too large.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A metric label stands for one fault, and every fault has one.
    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        assert!(
            Fault::ALL
                .iter()
                .all(|fault| fault.status().is_client_error() || fault.status().is_server_error())
        );
    }
}
