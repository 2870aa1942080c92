//! The bus within a process against `tokio::sync::broadcast`, which has no subjects, no
//! patterns and no limit in bytes: from publishing until every subscriber has received.

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use storage::events::{Bus, Event, LocalBus, Subject, SubjectPattern};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast;

/// Events that are published before the subscribers receive them; no queue is full.
const BURST: usize = 100;

const PAYLOAD: Bytes = Bytes::from_static(&[7; 200]);

/// A burst through the bus, to subscribers of the subject itself.
fn nova(runtime: &Runtime, subscribers: usize) -> impl FnMut() + use<'_> {
    let bus = LocalBus::new();
    let subject: Subject = "chat.room.message".parse().expect("a subject");
    let pattern = SubjectPattern::from(subject.clone());
    let mut subscriptions: Vec<_> = (0..subscribers)
        .map(|_| runtime.block_on(bus.subscribe(&pattern)).expect("a bus"))
        .collect();
    move || {
        runtime.block_on(async {
            for _ in 0..BURST {
                let event = Event::new(subject.clone(), PAYLOAD);
                bus.publish(event).await.expect("a small payload");
            }
            for subscription in &mut subscriptions {
                for _ in 0..BURST {
                    black_box(subscription.recv().await.expect("no lag"));
                }
            }
        });
    }
}

/// The same burst through a broadcast channel.
fn tokio_broadcast(runtime: &Runtime, subscribers: usize) -> impl FnMut() + use<'_> {
    let (sender, _) = broadcast::channel(1_024);
    let mut receivers: Vec<_> = (0..subscribers).map(|_| sender.subscribe()).collect();
    move || {
        runtime.block_on(async {
            for _ in 0..BURST {
                sender.send(PAYLOAD).expect("receivers");
            }
            for receiver in &mut receivers {
                for _ in 0..BURST {
                    black_box(receiver.recv().await.expect("no lag"));
                }
            }
        });
    }
}

/// Measures, and returns the fastest burst.
fn measure(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    mut burst: impl FnMut(),
) -> Duration {
    let fastest = Cell::new(Duration::MAX);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|bursts| {
            let mut total = Duration::ZERO;
            for _ in 0..bursts {
                let started = Instant::now();
                burst();
                let taken = started.elapsed();
                fastest.set(fastest.get().min(taken));
                total += taken;
            }
            total
        });
    });
    fastest.get()
}

fn benches(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    for subscribers in [1, 100] {
        let mut group = criterion.benchmark_group(format!("events/{subscribers}"));
        group.throughput(Throughput::Elements((BURST * subscribers) as u64));
        group.sample_size(20);
        let ours = measure(&mut group, "nova", nova(&runtime, subscribers));
        let theirs = measure(
            &mut group,
            "broadcast",
            tokio_broadcast(&runtime, subscribers),
        );
        group.finish();
        // A name filter leaves one of them out.
        if ours != Duration::MAX && theirs != Duration::MAX {
            println!(
                "events/{subscribers}: the bus takes {:.2} times what a broadcast channel takes ({ours:?}, {theirs:?} for {BURST} events)",
                ours.as_secs_f64() / theirs.as_secs_f64(),
            );
        }
    }
}

criterion_group!(group, benches);
criterion_main!(group);
