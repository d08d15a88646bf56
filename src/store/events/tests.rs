use super::*;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::time::Duration;

/// Calls `on_event`, and counts calls and drops.
struct Probe {
    on_event: Box<dyn Fn(&Event<'_>) + Send + Sync>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    calls: AtomicUsize,
    drops: AtomicUsize,
    drop_thread: crate::sync::Mutex<Option<std::thread::ThreadId>>,
}

impl Tally {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }
}

impl Subscriber for Probe {
    fn event(&self, event: &Event<'_>) {
        assert_eq!(self.tally.drops(), 0, "called after its drop");
        self.tally.calls.fetch_add(1, Ordering::SeqCst);
        (self.on_event)(event);
        assert_eq!(self.tally.drops(), 0, "dropped while it is called");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        assert!(in_callback(), "a drop is a callback");
        self.tally.drops.fetch_add(1, Ordering::SeqCst);
        *self.tally.drop_thread.lock() = Some(std::thread::current().id());
    }
}

fn probe(on_event: impl Fn(&Event<'_>) + Send + Sync + 'static) -> (Box<Probe>, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    (Box::new(Probe { on_event: Box::new(on_event), tally: Arc::clone(&tally) }), tally)
}

const STORED: Event<'static> = Event {
    kind: EventKind::ItemStored,
    tier: Some(Tier::Hot),
    status: None,
    key: b"key",
    value: Some(b"value"),
    version: 7,
    expires_at: 9,
    message: None,
};

#[test]
fn only_who_wants_a_kind_is_told_of_it() {
    let events = Events::new();
    assert!(!events.wants(EventKind::ItemStored));
    let (stored, told_of_stores) = probe(|event| assert_eq!(event.kind, EventKind::ItemStored));
    let (other, told_of_others) = probe(|_| {});
    let (nothing, told_of_nothing) = probe(|_| {});
    let id = events.subscribe(EventKind::ItemStored.bit() | 1 << 31, stored);
    events.subscribe(EventKind::ALL & !EventKind::ItemStored.bit(), other);
    events.subscribe(0, nothing);
    assert!(events.wants(EventKind::ItemStored) && events.wants(EventKind::Error));
    events.emit(&STORED);
    events.emit(&Event::of(EventKind::Error));
    events.emit(&Event::of(EventKind::Compacted));
    assert_eq!([&told_of_stores, &told_of_others, &told_of_nothing].map(|t| t.calls()), [1, 2, 0]);
    assert!(events.unsubscribe(id));
    assert!(!events.wants(EventKind::ItemStored) && events.wants(EventKind::Error));
}

#[test]
fn unsubscribing_drops_once_and_knows_only_its_own_numbers() {
    let (events, others) = (Events::new(), Events::new());
    let (subscriber, tally) = probe(|_| {});
    let id = events.subscribe(EventKind::ALL, subscriber);
    assert!(id != 0 && !others.unsubscribe(id) && !events.unsubscribe(id + 1_000_000));
    assert_eq!(tally.drops(), 0);
    assert!(events.unsubscribe(id) && !events.unsubscribe(id));
    events.emit(&STORED);
    events.close();
    assert_eq!((tally.calls(), tally.drops()), (0, 1));
}

#[test]
fn closing_drops_all_and_takes_no_more() {
    let events = Events::new();
    let (first, first_tally) = probe(|_| {});
    let (late, late_tally) = probe(|_| {});
    events.subscribe(EventKind::ALL, first);
    events.close();
    let id = events.subscribe(EventKind::ALL, late);
    assert_eq!((first_tally.drops(), late_tally.drops()), (1, 1));
    assert!(id != 0 && !events.unsubscribe(id) && !events.wants(EventKind::ItemStored));
}

#[test]
fn unsubscribe_waits_for_a_running_call_on_another_thread() {
    let events = Arc::new(Events::new());
    let (entered, wait_entered) = mpsc::channel();
    let is_leaving = Arc::new(AtomicBool::new(false));
    let leaving = Arc::clone(&is_leaving);
    let (subscriber, tally) = probe(move |_| {
        entered.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        leaving.store(true, Ordering::SeqCst);
    });
    let id = events.subscribe(EventKind::ALL, subscriber);
    std::thread::scope(|scope| {
        scope.spawn(|| events.emit(&STORED));
        wait_entered.recv().unwrap();
        assert!(events.unsubscribe(id));
        assert!(is_leaving.load(Ordering::SeqCst), "returned while the call was running");
        assert_eq!(tally.drops(), 1);
    });
}

#[test]
fn from_within_its_own_call_unsubscribe_leaves_the_drop_to_the_end_of_the_call() {
    let events = Arc::new(Events::new());
    let id = Arc::new(AtomicU64::new(0));
    let (inner, number) = (Arc::clone(&events), Arc::clone(&id));
    let (subscriber, tally) = probe(move |_| {
        assert!(inner.unsubscribe(number.load(Ordering::SeqCst)));
        inner.emit(&STORED);
    });
    id.store(events.subscribe(EventKind::ALL, subscriber), Ordering::SeqCst);
    events.emit(&STORED);
    assert_eq!((tally.calls(), tally.drops(), events.dropped()), (1, 1, 0));
}

#[test]
fn from_within_a_callback_unsubscribe_does_not_wait_and_the_last_to_leave_drops() {
    let events = Arc::new(Events::new());
    let (entered, wait_entered) = mpsc::channel();
    let (leave, wait_leave) = mpsc::channel::<()>();
    let wait_leave = crate::sync::Mutex::new(wait_leave);
    let (slow, tally) = probe(move |_| {
        entered.send(()).unwrap();
        wait_leave.lock().recv().unwrap();
    });
    let id = events.subscribe(EventKind::ItemStored.bit(), slow);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| events.emit(&STORED));
        wait_entered.recv().unwrap();
        // Also a load, and also one of another store, counts as a callback.
        let load = CallbackScope::enter();
        assert!(events.unsubscribe(id));
        drop(load);
        assert_eq!(tally.drops(), 0);
        events.emit(&STORED);
        assert_eq!(tally.calls(), 1, "started again after unsubscribe");
        let runner = running.thread().id();
        leave.send(()).unwrap();
        running.join().unwrap();
        assert_eq!((tally.drops(), *tally.drop_thread.lock()), (1, Some(runner)));
    });
}

#[test]
fn a_subscription_is_not_entered_twice_by_a_thread() {
    let events = Arc::new(Events::new());
    let inner = Arc::clone(&events);
    let (first, first_tally) = probe(move |_| inner.emit(&STORED));
    let inner = Arc::clone(&events);
    let (second, second_tally) = probe(move |_| inner.emit(&STORED));
    events.subscribe(EventKind::ALL, first);
    events.subscribe(EventKind::ALL, second);
    events.emit(&STORED);
    // Each is called from outside and from within the other; each call from within is refused at
    // the caller, and at the caller's caller.
    assert_eq!((first_tally.calls(), second_tally.calls(), events.dropped()), (2, 2, 6));
    events.close();
    assert_eq!((first_tally.drops(), second_tally.drops()), (1, 1));
}

#[test]
fn callbacks_may_subscribe_and_the_new_one_is_told_of_what_follows() {
    let events = Arc::new(Events::new());
    let (late, late_tally) = probe(|_| {});
    let late = crate::sync::Mutex::new(Some(late));
    let inner = Arc::clone(&events);
    let (first, _) = probe(move |_| {
        if let Some(late) = late.lock().take() {
            inner.subscribe(EventKind::ALL, late);
        }
    });
    events.subscribe(EventKind::ALL, first);
    events.emit(&STORED);
    assert_eq!(late_tally.calls(), 0);
    events.emit(&STORED);
    assert_eq!(late_tally.calls(), 1);
    events.close();
}

#[test]
fn a_thread_knows_whether_it_is_inside_a_callback() {
    let events = Events::new();
    let (subscriber, tally) = probe(|_| {
        assert!(in_callback());
        assert!(!std::thread::spawn(in_callback).join().unwrap());
    });
    events.subscribe(EventKind::ALL, subscriber);
    events.emit(&STORED);
    assert!(!in_callback());
    {
        let _outer = CallbackScope::enter();
        drop(CallbackScope::enter());
        assert!(in_callback());
    }
    assert!(!in_callback());
    events.close();
    assert_eq!(tally.calls(), 1);
}

#[test]
fn too_deep_a_chain_of_callbacks_ends() {
    let events = Arc::new(Events::new());
    let scopes: Vec<_> = (0..NESTED_MAX + 2).map(|_| CallbackScope::enter()).collect();
    let (subscriber, tally) = probe(|_| {});
    events.subscribe(EventKind::ALL, subscriber);
    events.emit(&STORED);
    assert_eq!((tally.calls(), events.dropped()), (0, 1));
    drop(scopes);
    events.emit(&STORED);
    assert_eq!(tally.calls(), 1);
    events.close();
}

/// Emits on three threads while the subscription is ended by a fourth, which is inside a callback
/// in every other round. The probe itself asserts that it is not called after its drop.
#[test]
fn races_of_calls_and_ends_drop_exactly_once() {
    for round in 0..400 {
        let events = Events::new();
        let (subscriber, tally) = probe(|_| std::hint::spin_loop());
        let id = events.subscribe(EventKind::ALL, subscriber);
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    barrier.wait();
                    (0..50).for_each(|_| events.emit(&STORED));
                });
            }
            barrier.wait();
            let inside = (round % 2 == 0).then(CallbackScope::enter);
            assert!(events.unsubscribe(id));
            if inside.is_none() {
                assert_eq!(tally.drops(), 1, "not dropped when unsubscribe returned");
            }
        });
        assert_eq!(tally.drops(), 1, "round {round}");
    }
}
