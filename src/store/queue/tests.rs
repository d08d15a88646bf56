use super::*;
use std::time::Instant;

fn stored(version: u64, value: &[u8]) -> Event<'_> {
    Event { key: b"key", value: Some(value), version, ..Event::of(EventKind::ItemStored) }
}

fn versions(queue: &EventQueue) -> Vec<u64> {
    std::iter::from_fn(|| queue.next(0)).map(|event| event.version).collect()
}

#[test]
fn events_come_out_whole_and_in_order() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 10).unwrap();
    events.emit(&Event {
        tier: Some(Tier::Cold),
        status: Some(ErrorKind::NoSpace),
        expires_at: 5,
        message: Some("disk full"),
        ..stored(1, b"value")
    });
    events.emit(&Event::of(EventKind::StorageCleared));
    let expected = OwnedEvent {
        kind: EventKind::ItemStored,
        tier: Some(Tier::Cold),
        status: Some(ErrorKind::NoSpace),
        key: b"key".to_vec(),
        value: Some(b"value".to_vec()),
        version: 1,
        expires_at: 5,
        message: Some("disk full".into()),
    };
    assert_eq!(queue.next(0), Some(expected));
    let cleared = queue.next(u64::MAX).unwrap();
    assert_eq!((cleared.kind, cleared.value), (EventKind::StorageCleared, None));
    assert_eq!(queue.next(0), None);
}

#[test]
fn what_overflows_is_dropped_and_counted_and_room_is_given_back() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 2).unwrap();
    (1..=5).for_each(|version| events.emit(&stored(version, b"")));
    assert_eq!((queue.dropped(), events.dropped()), (3, 3));
    assert_eq!(versions(&queue), [1, 2]);
    events.emit(&stored(6, b""));
    assert_eq!(versions(&queue), [6]);
}

#[test]
fn bytes_are_bounded_and_accounted_for() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, usize::MAX).unwrap();
    let large = vec![0; BYTES_MAX / 2];
    events.emit(&stored(1, &large));
    assert!(events.memory_bytes() > large.len());
    events.emit(&stored(2, &large));
    events.emit(&stored(3, b"small"));
    assert_eq!(versions(&queue), [1, 3]);
    assert!(events.memory_bytes() < 10_000, "{} bytes wait in nothing", events.memory_bytes());
    assert_eq!(queue.dropped(), 1);
    events.emit(&stored(4, &vec![0; BYTES_MAX]));
    assert_eq!((versions(&queue), queue.dropped()), (vec![], 2));
}

#[test]
fn a_waiting_reader_is_woken_by_an_event_by_time_and_by_the_end() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 2).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| [queue.next(u64::MAX), queue.next(u64::MAX)]);
        std::thread::sleep(Duration::from_millis(20));
        events.emit(&stored(1, b""));
        std::thread::sleep(Duration::from_millis(20));
        events.close();
        let [first, second] = reader.join().unwrap();
        assert_eq!((first.map(|event| event.version), second), (Some(1), None));
    });
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 1).unwrap();
    let begun = Instant::now();
    assert_eq!(queue.next(30), None);
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn after_the_end_of_the_store_what_is_queued_comes_and_then_nothing_at_once() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 5).unwrap();
    events.emit(&stored(1, b""));
    events.close();
    drop(events);
    assert_eq!(queue.next(u64::MAX).map(|event| event.version), Some(1));
    assert_eq!(queue.next(u64::MAX), None);
    queue.close();
}

#[test]
fn a_closed_queue_costs_the_store_nothing_more() {
    let events = Arc::new(Events::new());
    let queue = EventQueue::open(&events, EventKind::ALL, 5).unwrap();
    let alive = Arc::downgrade(&queue);
    queue.close();
    queue.close();
    assert!(!events.wants(EventKind::ItemStored));
    assert_eq!(queue.next(u64::MAX), None);
    drop(queue);
    assert!(alive.upgrade().is_none(), "the store holds on to a closed queue");
}

#[test]
fn a_queue_without_room_is_refused() {
    let error = EventQueue::open(&Arc::new(Events::new()), EventKind::ALL, 0).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
