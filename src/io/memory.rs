//! Giving memory back to the kernel.

#![expect(unsafe_code, reason = "the allocator's own call")]

/// Asks the allocator to give back whole pages that it keeps free. It does so only where the heap
/// ends by itself, and a cache that lets go of what lies in the middle would go on taking its
/// peak. Does nothing with other allocators than glibc's.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
