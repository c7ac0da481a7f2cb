//! Taking lines out of the caches of all CPUs, so that who reads them next reads memory.

use std::io;
use std::sync::atomic::AtomicU64;

/// Writes back the cache line of each of `words` and forgets it, in all caches above memory; done when it returns. A line whose
/// content changes nobody can tell that from.
pub(crate) fn flush<'a>(words: impl Iterator<Item = &'a AtomicU64>) -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        for word in words {
            // SAFETY: a reference is valid to flush, and every x86-64 CPU has the instruction.
            unsafe { std::arch::x86_64::_mm_clflush(word.as_ptr().cast()) };
        }
        // `clflush` is ordered with fences, and with loads by fences alone.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
    #[cfg(target_arch = "aarch64")]
    {
        for word in words {
            // SAFETY: cleaning and invalidating the line of a reference changes no content; Linux allows it to programs.
            unsafe { std::arch::asm!("dc civac, {}", in(reg) word.as_ptr(), options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier.
        unsafe { std::arch::asm!("dsb ish", options(nostack, preserves_flags)) };
        Ok(())
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        drop(words);
        Err(io::Error::new(io::ErrorKind::Unsupported, "caches are flushed on x86-64 and aarch64 only"))
    }
}
