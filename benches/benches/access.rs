//! What a token costs a request: verified for the first time, and remembered.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use edge::access::{AccessConfig, Algorithm, Claims, Gate, KeyRing, generate_key};
use media::{Micros, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const PATH: &str = "/live/demo/3/source/1767225600.2.m4s";

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("access");
    for algorithm in [Algorithm::HmacSha256, Algorithm::Ed25519] {
        let (key, _) = generate_key("2026a", algorithm).expect("random numbers");
        let ring = || key.parse::<KeyRing>().expect("a key");
        let path = "/live/demo/".parse().expect("a path");
        let mut claims = Claims::new(path, NOW + Micros::from_secs(3_600));
        claims.session = "0192d3f4-viewer".parse().ok();
        let token = ring().sign(&claims).expect("a token");
        let gate = || Gate::new(AccessConfig::default(), ring());
        let ask = |gate: &Gate| black_box(gate.verify(black_box(&token), PATH, None, NOW)).is_ok();
        let name = algorithm.as_str();
        group.bench_function(format!("{name}/first"), |bencher| {
            bencher.iter_batched_ref(gate, |gate| assert!(ask(gate)), BatchSize::SmallInput);
        });
        group.bench_function(format!("{name}/remembered"), |bencher| {
            let gate = gate();
            bencher.iter(|| assert!(ask(&gate)));
        });
    }
    group.finish();
}

criterion_group!(group, benches);
criterion_main!(group);
