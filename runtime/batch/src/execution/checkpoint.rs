//! Where each element of an item step resumes.

/// Where each element of an item step resumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The reader's state, opaque.
    pub reader: Vec<u8>,
    /// The processors' states, opaque, in order.
    pub processors: Vec<Vec<u8>>,
    /// The writer's state, opaque.
    ///
    /// The output that it refers to is durable.
    pub writer: Vec<u8>,
    /// The state of the rejected items file, opaque.
    ///
    /// The items that it refers to are durable.
    pub rejected: Vec<u8>,
}
