//! Bounds that the engine keeps, whatever is configured.

/// Longest name of a database or collection that can be configured; a key of the storage holds
/// two of them.
pub const NAME_BYTES_MAX: usize = 200;
/// Largest document that can be configured, in bytes.
pub const DOCUMENT_BYTES_MOST: usize = 16 << 20;

/// Bounds for what a client may store.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body in bytes.
    pub document_bytes_max: usize,
    /// Deepest nesting of objects and arrays.
    pub depth_max: usize,
    /// Longest `_id` in bytes.
    pub id_bytes_max: usize,
}
