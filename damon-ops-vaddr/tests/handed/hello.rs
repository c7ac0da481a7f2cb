//! The hello: who is there, what is handed over, and what is refused, by name.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use damon_core::{AddrRange, Ops, Sees, Space};
use damon_ops_vaddr::handed::{AcceptError, Handed, LinkError, Offer, OfferError, Refusal};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::raw;
use crate::support::{Do, LIMIT, Memory, PAGE, Peer, TARGET, accept, check, lacks, listener, open_fds, samples, spans};

const HELLO: u32 = u32::from_ne_bytes(*b"DAMO");
const SHORT: Duration = Duration::from_millis(100);
const WP_ASYNC: u64 = 1 << 15;

fn frame(kind: u32, arg: u32, rest: [u64; 3]) -> Vec<u8> {
    let words = [u64::from(kind) << 32 | u64::from(arg), rest[0], rest[1], rest[2]];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn send(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut beside = SendAncillaryBuffer::new(&mut room);
    assert!(fds.is_empty() || beside.push(SendAncillaryMessage::ScmRights(fds)));
    sendmsg(stream, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL).unwrap();
}

/// What the monitor says to somebody who does `what` with the socket, and stays.
fn refused(what: impl FnOnce(&UnixStream)) -> AcceptError {
    let (listener, addr) = listener();
    let before = open_fds();
    let stream = UnixStream::connect_addr(&addr).unwrap();
    what(&stream);
    let started = Instant::now();
    let error = Handed::accept(listener.accept().unwrap().0, TARGET, SHORT).unwrap_err();
    assert!(started.elapsed() < 10 * SHORT, "{error}");
    drop(stream);
    assert_eq!(open_fds(), before, "descriptors leaked: {error}");
    error
}

/// What it says to these descriptors.
fn refused_fds(fds: &[BorrowedFd<'_>]) -> AcceptError {
    refused(|stream| send(stream, &frame(HELLO, 1, [PAGE, 0, 0]), fds))
}

#[test]
fn a_process_that_offers_nothing_in_particular_is_watched_whole() {
    let (listener, addr) = listener();
    let mut peer = Peer::start(16, Memory::Private, &addr, |_| Offer::new().ok());
    let mut ops = accept(&listener).unwrap();
    assert_eq!(ops.pid(), peer.pid as u32);
    assert_eq!(ops.resolve(Space::Process(ops.pid()), 7), Some((TARGET, 7)));
    assert_eq!(ops.resolve(Space::Process(1), 7), None);
    assert!(ops.watched().any(|w| w.name == "[heap]" && w.method.is_some()));
    let span = *spans(&mut ops).iter().find(|s| s.range.contains(peer.page(0))).unwrap();
    if span.sees == Sees::Writes {
        lacks("RWP_ASYNC");
    }
    let mut window = samples([peer.page(2), peer.page(5), peer.page(9)]);
    ops.arm(&window).unwrap();
    peer.tell(Do::Read, 5);
    peer.tell(Do::Write, 9);
    check(&mut ops, &mut window);
    let seen: Vec<_> = window.iter().map(|s| s.seen.is_access()).collect();
    assert_eq!(seen, [false, span.sees.sees_reads(), true]);
}

#[test]
fn whoever_says_nothing_or_too_little_is_given_up_in_time() {
    assert!(matches!(refused(|_| ()), AcceptError::Link(LinkError::TimedOut(SHORT))));
    let half = |mut stream: &UnixStream| stream.write_all(&frame(HELLO, 1, [PAGE, 0, 0])[..20]).unwrap();
    assert!(matches!(refused(half), AcceptError::Link(LinkError::TimedOut(_))));
    let closed = |stream: &UnixStream| stream.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(refused(closed), AcceptError::Link(LinkError::HungUp)));
    // A byte now and then does not buy more time.
    let (listener, addr) = listener();
    let mut stream = UnixStream::connect_addr(&addr).unwrap();
    let dripping = std::thread::spawn(move || {
        while stream.write_all(&[0]).is_ok() {
            std::thread::sleep(SHORT / 5);
        }
    });
    let started = Instant::now();
    let error = Handed::accept(listener.accept().unwrap().0, TARGET, SHORT).unwrap_err();
    assert!(matches!(error, AcceptError::Link(LinkError::TimedOut(_))) && started.elapsed() < 5 * SHORT, "{error}");
    dripping.join().unwrap();
}

#[test]
fn a_monitor_that_does_not_answer_is_given_up_in_time() {
    let (_listener, addr) = listener();
    let stream = UnixStream::connect_addr(&addr).unwrap();
    let Ok(offer) = Offer::new() else { return lacks("userfaultfd") };
    let error = offer.lend(stream, SHORT).unwrap_err();
    assert!(matches!(error, OfferError::Link(LinkError::TimedOut(_))), "{error}");
}

#[test]
fn what_is_not_the_protocol_is_refused_by_name() {
    let says = |bytes: Vec<u8>| refused(|stream| send(stream, &bytes, &[]));
    assert!(matches!(
        says(b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n".into()),
        AcceptError::Link(LinkError::Protocol(_))
    ));
    assert!(matches!(says(frame(HELLO, 2, [PAGE, 0, 0])), AcceptError::Version(2)));
    assert!(matches!(says(frame(HELLO, 1, [PAGE * 4, 0, 0])), AcceptError::PageSize { theirs: 16384, .. }));
    assert!(matches!(says(frame(HELLO, 1, [PAGE, 1 << 40, 0])), AcceptError::Link(LinkError::Protocol(_))));
    for (start, end) in [(2 * PAGE, PAGE), (u64::MAX - 1, u64::MAX)] {
        let bytes = [frame(HELLO, 1, [PAGE, 1, 0]), frame(1, 0, [start, end, 0])].concat();
        assert!(matches!(says(bytes), AcceptError::Link(LinkError::Protocol(_))), "{start:#x}");
    }
    let twice = [frame(HELLO, 1, [PAGE, 2, 0]), frame(1, 0, [0, PAGE, 0]).repeat(2)].concat();
    assert!(matches!(says(twice), AcceptError::Link(LinkError::Protocol(_))));
}

#[test]
fn a_descriptor_that_is_not_what_it_should_be_is_named_and_never_asked() {
    let uffd = raw::userfaultfd(WP_ASYNC).unwrap();
    let (null, pagemap) = (File::open("/dev/null").unwrap(), File::open("/proc/self/pagemap").unwrap());
    let fake = std::env::temp_dir().join(format!("damon-{}-pagemap", std::process::id()));
    std::fs::write(&fake, b"").unwrap();
    let fake_file = File::open(&fake).unwrap();
    std::fs::remove_file(&fake).unwrap();
    let wrong = |fds: &[BorrowedFd<'_>]| match refused_fds(fds) {
        AcceptError::WrongDescriptor { index, .. } => index,
        e => panic!("{e}"),
    };
    assert_eq!(wrong(&[]), 0);
    assert_eq!(wrong(&[null.as_fd(), pagemap.as_fd(), pagemap.as_fd()]), 0);
    assert_eq!(wrong(&[uffd.as_fd(), null.as_fd(), pagemap.as_fd()]), 1);
    assert_eq!(wrong(&[uffd.as_fd(), fake_file.as_fd(), pagemap.as_fd()]), 1);
    assert_eq!(wrong(&[uffd.as_fd(), pagemap.as_fd(), pagemap.as_fd()]), 2);
    assert_eq!(wrong(&[uffd.as_fd(), pagemap.as_fd()]), 2);
}

#[test]
fn too_many_descriptors_are_refused_and_closed() {
    let null = File::open("/dev/null").unwrap();
    let error = refused_fds(&[null.as_fd(); 12]);
    assert!(matches!(error, AcceptError::Link(LinkError::Protocol(_))), "{error}");
    // As many beside each byte.
    let error = refused(|stream| {
        for byte in frame(HELLO, 1, [PAGE, 0, 0]) {
            send(stream, &[byte], &[null.as_fd(); 3]);
        }
    });
    assert!(matches!(error, AcceptError::Link(LinkError::Protocol(_))), "{error}");
}

#[test]
fn a_userfaultfd_that_makes_its_owner_wait_is_refused_on_both_sides() {
    let (listener, addr) = listener();
    let offer = Offer::of(raw::userfaultfd(0).unwrap());
    let lend = std::thread::spawn(move || offer.lend(UnixStream::connect_addr(&addr).unwrap(), LIMIT));
    let error = accept(&listener).unwrap_err();
    assert!(matches!(error, AcceptError::Synchronous { .. }), "{error}");
    let told = lend.join().unwrap().unwrap_err();
    assert!(matches!(told, OfferError::Refused(Refusal::Synchronous)), "{told}");
}

#[test]
fn memory_of_another_process_than_the_one_that_connected_is_refused() {
    let _turn = listener();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut theirs = Some(theirs);
    let pid = raw::fork(|| {
        // The pair is its parent's.
        let lent = theirs.take().zip(Offer::new().ok()).map(|(stream, offer)| offer.lend(stream, LIMIT));
        drop(lent);
    });
    let error = Handed::accept(ours, TARGET, LIMIT).unwrap_err();
    assert!(matches!(error, AcceptError::Foreign { .. }), "{error}");
    raw::kill_and_wait(pid);
}

#[test]
fn a_userfaultfd_and_a_page_table_of_two_processes_are_told_apart() {
    // A userfaultfd of the parent's memory, and everything else a child's own.
    let (listener, addr) = listener();
    let range = raw::map(None, 4 * PAGE, raw::PRIVATE, None).unwrap();
    let uffd = raw::userfaultfd(WP_ASYNC).unwrap();
    let mut uffd = Some(uffd);
    let peer = Peer::start(4, Memory::Private, &addr, |_| Some(Offer::of(uffd.take()?).range(range)));
    let error = accept(&listener).unwrap_err();
    assert!(matches!(error, AcceptError::Mismatch), "{error}");
    drop(peer);
    raw::unmap(range);
}

#[test]
fn memory_that_is_not_there_or_cannot_be_watched_is_refused() {
    let (listener, addr) = listener();
    let nowhere = AddrRange::new(PAGE, 2 * PAGE).unwrap();
    let _peer = Peer::start(4, Memory::Private, &addr, |_| Some(Offer::new().ok()?.range(nowhere)));
    let error = accept(&listener).unwrap_err();
    assert!(matches!(error, AcceptError::NothingWatched(_)), "{error}");
}
