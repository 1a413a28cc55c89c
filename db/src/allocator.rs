//! How the allocator of the C library deals with memory that is free.

/// Makes the allocator return large blocks to the system, and keep the others for the next use.
/// glibc keeps blocks of up to 32 MiB once one has been freed, and each password check uses 19 MiB
/// on some thread. Told that it must not, it would give the end of a heap back as soon as 128 KiB
/// are free: the pages of each transaction, and the entries of a bulk write. To be called before any
/// other thread exists.
#[allow(unsafe_code)]
pub fn tune() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
    }
}

/// Returns to the system what is free in the middle of the heaps too. Each thread that allocates
/// meanwhile waits: a few milliseconds for a large heap.
#[allow(unsafe_code)]
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
