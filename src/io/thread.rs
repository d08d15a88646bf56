//! A thread of the library's own. The standard library's thread ends the process if there is no
//! memory for its handle, registers destructors of its own, and asks the environment how large a
//! stack is to be.
//!
//! The library has no thread-local with a destructor either. A thread that ends has none any more,
//! and the C library ends the process if it has no memory to register one.

#![expect(unsafe_code, reason = "pthread_create and pthread_join")]

use crate::error::{Error, ErrorKind, Result};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::{io, ptr};

/// The stack of a thread: callbacks run on it, and some are deep.
const STACK_BYTES: usize = 2 << 20;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that was started and not joined yet.
pub struct Thread(libc::pthread_t);

impl Thread {
    /// Starts a thread that does `work`, which must not unwind.
    ///
    /// # Errors
    /// `OutOfMemory`: the kernel has no memory for it, or may have no more threads.
    pub fn start(work: impl FnOnce() + Send + 'static) -> Result<Self> {
        let work: Work = Box::new(work);
        let argument = Box::into_raw(Box::new(work));
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        // SAFETY: the attributes are initialised before they are used, and destroyed after it; `run`
        // takes over the argument if the thread was started.
        let code = unsafe {
            match libc::pthread_attr_init(attributes.as_mut_ptr()) {
                0 => {
                    libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
                    let (to, with) = (thread.as_mut_ptr(), attributes.as_ptr());
                    let code = libc::pthread_create(to, with, run, argument.cast());
                    libc::pthread_attr_destroy(attributes.as_mut_ptr());
                    code
                }
                code => code,
            }
        };
        if code != 0 {
            // SAFETY: no thread was started, so it is still this one's.
            drop(unsafe { Box::from_raw(argument) });
            let why = io::Error::from_raw_os_error(code);
            // The C library gives the same error for too many threads and for too little memory.
            let sentence = format!(
                "start the store's thread: {why}; free memory, or raise the limits of memory or of \
                 threads"
            );
            return Err(Error::new(ErrorKind::OutOfMemory, sentence).with_os_code(code));
        }
        // SAFETY: the call has written it.
        Ok(Self(unsafe { thread.assume_init() }))
    }

    /// Waits until its work is done.
    pub fn join(self) {
        // SAFETY: the thread was started joinable, and is joined once.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }
}

extern "C" fn run(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start` has given the work up to this thread. The name ends with NUL.
    let work = unsafe {
        libc::prctl(libc::PR_SET_NAME, c"hotcold".as_ptr());
        Box::from_raw(argument.cast::<Work>())
    };
    work();
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_work_is_done_when_the_thread_was_joined() {
        let (send, receive) = channel();
        Thread::start(move || send.send(7).unwrap()).unwrap().join();
        assert_eq!(receive.try_recv(), Ok(7));
    }
}
