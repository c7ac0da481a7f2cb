//! What goes over the socket: frames of 32 bytes, and descriptors beside the first.
//!
//! ```text
//! process                                           monitor
//!   HELLO version, page size, ranges  + 3 fds  ──▶
//!   RANGE start, end, modes (one each)         ──▶
//!                                              ◀──  ANSWER how it went
//!   RELEASE start, end   │ TAKE_BACK start, end──▶
//!                                              ◀──  ANSWER
//! ```
//! Both ends are on one machine: numbers are in its byte order.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use damon_core::AddrRange;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, send, sendmsg,
};

/// Of the protocol: another one is refused.
pub(super) const VERSION: u32 = 1;
/// The userfaultfd, `pagemap`, `maps`.
pub(super) const FDS: usize = 3;
/// Ranges offered at most.
pub(super) const MAX_RANGES: u64 = 1_024;
const LEN: usize = 32;

pub(super) const HELLO: u32 = u32::from_ne_bytes(*b"DAMO");
pub(super) const RANGE: u32 = 1;
pub(super) const RELEASE: u32 = 2;
pub(super) const TAKE_BACK: u32 = 3;
pub(super) const ANSWER: u32 = 4;

/// Why the exchange with the other side failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It closed the socket, or died.
    #[error("the other side hung up")]
    HungUp,
    /// It did not answer in time.
    #[error("the other side did not answer within {0:?}")]
    TimedOut(Duration),
    /// It sent something that does not belong there.
    #[error("the other side does not speak this protocol: {0}")]
    Protocol(&'static str),
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// A point in time that the other side has to answer by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(limit).unwrap_or(now), limit }
    }

    /// Waits until `stream` has something to read, or room to write.
    fn wait(self, stream: &UnixStream, what: PollFlags) -> Result<(), LinkError> {
        loop {
            let left = self.at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LinkError::TimedOut(self.limit));
            }
            let left = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(stream, what)], Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(e) => return Err(LinkError::Io(e.into())),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u32,
    /// Of a hello the version, of an answer the status.
    pub(super) arg: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) modes: u64,
}

impl Frame {
    pub(super) const fn about(kind: u32, range: AddrRange) -> Self {
        Self { kind, arg: 0, start: range.start(), end: range.end(), modes: 0 }
    }

    pub(super) const fn answer(status: u32) -> Self {
        Self { kind: ANSWER, arg: status, start: 0, end: 0, modes: 0 }
    }

    pub(super) fn range(self) -> Result<AddrRange, LinkError> {
        AddrRange::new(self.start, self.end).ok_or(LinkError::Protocol("a range that ends before it starts"))
    }

    fn bytes(self) -> [u8; LEN] {
        let words = [u64::from(self.kind) << 32 | u64::from(self.arg), self.start, self.end, self.modes];
        let mut bytes = [0; LEN];
        bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_ne_bytes()));
        bytes
    }

    fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let word = |i: usize| bytes[i * 8..][..8].try_into().map_or(0, u64::from_ne_bytes);
        Self { kind: (word(0) >> 32) as u32, arg: word(0) as u32, start: word(1), end: word(2), modes: word(3) }
    }
}

/// Sends all `frames`, and `fds` with the first.
pub(super) fn send_all(
    stream: &UnixStream,
    frames: &[Frame],
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), LinkError> {
    let bytes: Vec<u8> = frames.iter().flat_map(|f| f.bytes()).collect();
    let mut sent = 0;
    while sent < bytes.len() {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut beside = SendAncillaryBuffer::new(&mut room);
        if sent == 0 && !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(LinkError::Protocol("more descriptors than a hello has"));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(stream, &[IoSlice::new(&bytes[sent..])], &mut beside, flags) {
            Ok(n) => sent += n,
            Err(rustix::io::Errno::AGAIN) => deadline.wait(stream, PollFlags::OUT)?,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(LinkError::HungUp),
            Err(e) => return Err(LinkError::Io(e.into())),
        }
    }
    Ok(())
}

/// Sends one frame if there is room for it right now.
pub(super) fn send_now(stream: &UnixStream, frame: Frame) -> Result<(), LinkError> {
    match send(stream, &frame.bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(LEN) => Ok(()),
        // The other side takes nothing that it asked for.
        Ok(_) | Err(rustix::io::Errno::AGAIN) => Err(LinkError::Protocol("answers are not read")),
        Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Err(LinkError::HungUp),
        Err(e) => Err(LinkError::Io(e.into())),
    }
}

/// Puts frames together from what arrives.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: [u8; LEN],
    have: usize,
}

impl Inbox {
    /// The next frame, and in `fds` the descriptors that come beside it.
    pub(super) fn next(
        &mut self,
        stream: &UnixStream,
        fds: &mut Vec<OwnedFd>,
        deadline: Deadline,
    ) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = self.poll(stream, fds)? {
                return Ok(frame);
            }
            deadline.wait(stream, PollFlags::IN)?;
        }
    }

    /// The next frame, if all of it is there. Descriptors that do not fit are closed by the kernel, and said.
    pub(super) fn poll(&mut self, stream: &UnixStream, fds: &mut Vec<OwnedFd>) -> Result<Option<Frame>, LinkError> {
        while self.have < LEN {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
            let mut beside = RecvAncillaryBuffer::new(&mut room);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let got = match recvmsg(stream, &mut [IoSliceMut::new(&mut self.bytes[self.have..])], &mut beside, flags) {
                Ok(got) => got,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CONNRESET) => return Err(LinkError::HungUp),
                Err(e) => return Err(LinkError::Io(e.into())),
            };
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(sent) = message {
                    fds.extend(sent);
                }
            }
            if got.flags.contains(ReturnFlags::CTRUNC) || fds.len() > FDS {
                return Err(LinkError::Protocol("more descriptors than a hello has"));
            }
            if got.bytes == 0 {
                return Err(LinkError::HungUp);
            }
            self.have += got.bytes;
        }
        self.have = 0;
        Ok(Some(Frame::from_bytes(&self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_frame_comes_back_as_it_went(kind: u32, arg: u32, start: u64, end: u64, modes: u64) {
            let frame = Frame { kind, arg, start, end, modes };
            proptest::prop_assert_eq!(Frame::from_bytes(&frame.bytes()), frame);
        }
    }
}
