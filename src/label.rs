//! What is told of a buffer's contents, for those who look an entry up in it.

/// What is told of the contents: where key and value are, and what was hashed.
#[derive(Clone, Copy)]
pub struct Label {
    /// The key's.
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
