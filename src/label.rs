//! The label of a buffer: what a lookup needs to know of its contents.

/// The key's hash, the expiry, and where in the buffer key and value are.
#[derive(Clone, Copy)]
pub struct Label {
    /// The key's hash.
    pub hash: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Where in the bytes the key begins.
    pub key_start: u32,
    /// Where in the bytes the value begins.
    pub value_start: u32,
    /// How long the value is.
    pub value_len: u32,
    /// How long the key is.
    pub key_len: u16,
}
