//! The computation of a login and nothing else, on so many threads.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use benches::processor;

/// Computations.
pub(crate) struct Bare {
    pub(crate) per_second: f64,
    /// The same, of a second that a processor worked on them: whoever else is there does not
    /// change it as much.
    pub(crate) per_processor_second: f64,
}

/// Computes for so long. The parameters are the crate's own, as the server's are.
pub(crate) fn compute(threads: usize, seconds: u64) -> Result<Bare, Box<dyn Error>> {
    let before = processor::time_of_tree(std::process::id())?;
    let argon2 = Argon2::default();
    let hash = argon2
        .hash_password(b"correct horse")
        .map_err(|error| error.to_string())?
        .to_string();
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let work = || -> Result<u64, String> {
        let hash = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
        let mut computed = 0;
        while Instant::now() < end {
            argon2
                .verify_password(b"correct horse", &hash)
                .map_err(|error| error.to_string())?;
            computed += 1;
        }
        Ok(computed)
    };
    let computed = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let computed = threads.into_iter().map(|thread| match thread.join() {
            Ok(computed) => computed,
            Err(_) => Err("a thread panicked".to_owned()),
        });
        computed.sum::<Result<u64, String>>()
    })?;
    let computed = computed as f64;
    let span = begun.elapsed();
    let spent = processor::time_of_tree(std::process::id())? - before;
    Ok(Bare {
        per_second: computed / span.as_secs_f64(),
        per_processor_second: computed / spent.as_secs_f64(),
    })
}
