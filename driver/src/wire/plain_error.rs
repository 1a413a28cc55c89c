//! Errors as clients of other clusters know them: a text in `error`.

use super::{ErrorBody, ErrorDetail};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The body of an error answer of the calls that have their shape from another program:
/// `{"error": "…", …}`. What [`ErrorDetail::details`] holds stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlainErrorBody {
    /// One sentence that names the value that was wrong.
    pub error: String,
    /// Stable, machine-readable code.
    pub code: String,
    /// The next step for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names this call in the node's log.
    #[serde(default)]
    pub request_id: String,
    /// Values that belong to the code, for programs.
    #[serde(flatten)]
    pub further: Map<String, Value>,
}

impl From<ErrorDetail> for PlainErrorBody {
    fn from(detail: ErrorDetail) -> Self {
        let ErrorDetail { code, message, hint, details, request_id } = detail;
        let mut further = match details {
            Some(Value::Object(fields)) => fields,
            Some(other) => Map::from_iter([("details".to_owned(), other)]),
            None => Map::new(),
        };
        for own in ["error", "code", "hint", "request_id"] {
            further.remove(own);
        }
        PlainErrorBody { error: message, code, hint, request_id, further }
    }
}

impl From<PlainErrorBody> for ErrorDetail {
    fn from(body: PlainErrorBody) -> Self {
        let PlainErrorBody { error, code, hint, request_id, further } = body;
        let details = (!further.is_empty()).then_some(Value::Object(further));
        ErrorDetail { code, message: error, hint, details, request_id }
    }
}

/// Either form.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyBody {
    Object { error: ErrorDetail },
    Plain(PlainErrorBody),
}

impl<'de> Deserialize<'de> for ErrorBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let error = match AnyBody::deserialize(deserializer)? {
            AnyBody::Object { error } => error,
            AnyBody::Plain(body) => body.into(),
        };
        Ok(ErrorBody { error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_are_read_alike() {
        let object = json!({"error": {
            "code": "port_in_use", "message": "no", "details": {"available_ports": [1]}, "request_id": "r",
        }});
        let object: ErrorBody = serde_json::from_value(object).unwrap();
        let plain = serde_json::to_value(PlainErrorBody::from(object.error.clone())).unwrap();
        let wanted = json!({"error": "no", "code": "port_in_use", "available_ports": [1], "request_id": "r"});
        assert_eq!(plain, wanted);
        let plain: ErrorBody = serde_json::from_value(plain).unwrap();
        assert_eq!(plain.error, object.error);
    }
}
