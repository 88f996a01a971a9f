//! Where the members of the kernel's own structs lie, so that its data can be read on any version.

/// A description of structs by name.
pub trait Layouts {
    /// Byte offset of a member from the start of `struct NAME`, and its size in bytes. `member` may be a path
    /// (`event.type`), and members of anonymous structs and unions count as direct ones.
    fn member(&self, name: &str, member: &str) -> Option<(u64, u64)>;

    /// Size of `struct NAME` in bytes.
    fn size_of(&self, name: &str) -> Option<u64>;
}

/// An image that describes no struct.
pub struct NoLayouts;

impl Layouts for NoLayouts {
    fn member(&self, _: &str, _: &str) -> Option<(u64, u64)> {
        None
    }

    fn size_of(&self, _: &str) -> Option<u64> {
        None
    }
}
