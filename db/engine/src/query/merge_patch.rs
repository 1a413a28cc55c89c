//! JSON Merge Patch (RFC 7396).

use super::update::{id_changed, identical};
use crate::error::Result;
use crate::value::{Object, Value};

/// Applies a patch to an object: its null fields are removed, objects are merged, everything else
/// replaces the old value. Returns whether anything has changed.
///
/// # Errors
/// `invalid_id` if the patch has another `_id` than the object; an object without one may get it.
pub fn merge_patch(target: &mut Object, patch: &Object) -> Result<bool> {
    let id = target.get("_id");
    match patch.get("_id") {
        Some(new) if id.is_some_and(|id| !identical(id, new)) => Err(id_changed(id)),
        _ => Ok(merge_fields(target, patch)),
    }
}

fn merge_fields(target: &mut Object, patch: &Object) -> bool {
    let before = target.len();
    if patch.values().any(|value| matches!(value, Value::Null)) {
        // All at once: removing one field moves all fields after it.
        target.retain(|name, _| !matches!(patch.get(name), Some(Value::Null)));
    }
    let mut changed = target.len() != before;
    for (name, value) in patch {
        changed |= match (value, target.get_mut(name)) {
            (Value::Null, _) => false,
            (_, Some(old)) => merge(old, value),
            (_, None) => {
                let mut new = Value::Null;
                merge(&mut new, value);
                target.insert(name.clone(), new);
                true
            }
        };
    }
    changed
}

fn merge(target: &mut Value, patch: &Value) -> bool {
    match (target, patch) {
        (Value::Object(fields), Value::Object(patch)) => merge_fields(fields, patch),
        (target, Value::Object(patch)) => {
            let mut fields = Object::new();
            merge_fields(&mut fields, patch);
            *target = Value::Object(fields);
            true
        }
        (target, patch) => {
            let changed = !identical(target, patch);
            if changed {
                *target = patch.clone();
            }
            changed
        }
    }
}

#[cfg(test)]
#[path = "merge_patch_tests.rs"]
mod tests;
