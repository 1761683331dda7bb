//! Errors in the protocol's words: the one place that maps an [`Error`] to an HTTP status of /v2 and a gRPC code.

use http::StatusCode;
use tonic::Code;

use crate::error::Error;

/// The text of an error. Clients look for some of these words.
pub(in crate::serve) fn message(error: &Error) -> String {
    match error {
        Error::UnknownModel(name) => format!("Request for unknown model: '{name}' is not found"),
        Error::UnknownVersion { .. } | Error::NotLoaded { .. } => format!("Request for unknown model: {error}"),
        _ => error.to_string(),
    }
}

/// The protocol's status for what has the status `general` elsewhere: whatever a caller did wrong and has no status of its
/// own in the protocol is a 400.
pub(in crate::serve) fn http_status(general: StatusCode) -> StatusCode {
    match general {
        StatusCode::CONFLICT | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY => {
            StatusCode::BAD_REQUEST
        }
        other => other,
    }
}

/// The gRPC code for a status of /v2.
pub(in crate::serve) fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        405 | 501 => Code::Unimplemented,
        413 | 429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        408 | 504 => Code::DeadlineExceeded,
        400..=499 => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_else_a_caller_did_wrong_is_a_400() {
        let of = |status: u16| http_status(StatusCode::from_u16(status).unwrap()).as_u16();
        assert_eq!([415, 422, 409].map(of), [400; 3]);
        for kept in [400, 401, 403, 404, 405, 408, 413, 429, 500, 501, 503, 504] {
            assert_eq!(of(kept), kept);
        }
    }

    #[test]
    fn a_client_can_tell_its_own_mistake_from_a_busy_server() {
        let of = |status: u16| code(StatusCode::from_u16(status).unwrap());
        assert_eq!(of(400), Code::InvalidArgument);
        assert_eq!(of(404), Code::NotFound);
        assert_eq!((of(503), of(504)), (Code::Unavailable, Code::DeadlineExceeded));
        assert_eq!(of(500), Code::Internal);
    }

    #[test]
    fn an_unknown_model_is_told_in_the_protocols_words() {
        assert!(message(&Error::UnknownModel("x".to_owned())).contains("Request for unknown model: 'x'"));
    }
}
