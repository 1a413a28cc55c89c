//! The HTTP status of an error, between nodes and towards clients.

use crate::error::{ErrorClass, Kind};

/// Gives errors their HTTP status.
pub trait HttpStatus {
    /// The status of an answer with this error.
    fn status(self) -> u16;
}

impl HttpStatus for Kind {
    fn status(self) -> u16 {
        match self.class() {
            ErrorClass::Invalid => 400,
            ErrorClass::Unauthenticated => 401,
            ErrorClass::Forbidden => 403,
            ErrorClass::NotFound => 404,
            ErrorClass::NotSupported => 405,
            ErrorClass::Conflict => 409,
            ErrorClass::Gone => 410,
            ErrorClass::Precondition => 412,
            ErrorClass::TooLarge => 413,
            ErrorClass::Misdirected => 421,
            ErrorClass::Unprocessable => 422,
            ErrorClass::Busy => 429,
            ErrorClass::Failed => 500,
            ErrorClass::Unavailable => 503,
            ErrorClass::Unknown => 504,
            ErrorClass::Full => 507,
        }
    }
}
