//! The HTTP status of an error, between nodes and towards clients.

use crate::error::{Class, Kind};

/// Gives errors their HTTP status.
pub trait HttpStatus {
    /// The status of an answer with this error.
    fn status(self) -> u16;
}

impl HttpStatus for Kind {
    fn status(self) -> u16 {
        match self.class() {
            Class::Invalid => 400,
            Class::Unauthenticated => 401,
            Class::Forbidden => 403,
            Class::NotFound => 404,
            Class::NotSupported => 405,
            Class::Conflict => 409,
            Class::Gone => 410,
            Class::Precondition => 412,
            Class::TooLarge => 413,
            Class::Misdirected => 421,
            Class::Unprocessable => 422,
            Class::Busy => 429,
            Class::Failed => 500,
            Class::Unavailable => 503,
            Class::Unknown => 504,
            Class::Full => 507,
        }
    }
}
