//! Argon2id, within bounds: it takes memory and a core, and anybody may ask for it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, CustomizedPasswordHasher, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Password;
use crate::ServiceError;

/// What one computation takes, in MiB.
const MEMORY_MIB: u32 = Params::DEFAULT_M_COST.div_ceil(1_024);

/// Requests that wait for each computation that may go on at once.
const WAITING_PER_TURN: usize = 64;

/// No password's hash, of the same cost as all others: what a password is compared with when
/// there is no account, so that time does not tell.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Computes and compares password hashes: so many at once as fit the memory it may take, each
/// of the others after a wait that is bounded.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Who waits, computes, or does what the computation was for.
    places: Semaphore,
    wait: Duration,
    computed: AtomicU64,
    at_once: Arc<AtOnce>,
    memories: Arc<Memories>,
}

impl Passwords {
    /// Takes at most `memory_mib`, but one computation goes on at any rate; who has waited for
    /// `wait` is refused.
    pub fn new(memory_mib: u32, wait: Duration) -> Self {
        let turns = usize::try_from((memory_mib / MEMORY_MIB).max(1)).unwrap_or(1);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            places: Semaphore::new(turns * (1 + WAITING_PER_TURN)),
            wait,
            computed: AtomicU64::new(0),
            at_once: Arc::default(),
            memories: Arc::default(),
        }
    }

    /// How many computations there have been.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// The most computations that have ever gone on at the same time: each had its memory.
    pub fn most_at_once(&self) -> usize {
        self.at_once.most.load(Ordering::SeqCst)
    }

    /// A place, for as long as what the computation is for takes: otherwise those whose turn is
    /// over would wait for the database without a bound. Refused if there is none.
    pub(crate) fn place(&self) -> Result<Place<'_>, ServiceError> {
        let _held = self.places.try_acquire().map_err(|_| self.refused())?;
        Ok(Place {
            passwords: self,
            _held,
        })
    }

    fn refused(&self) -> ServiceError {
        metrics::counter!("nova_api_passwords_refused_total").increment(1);
        ServiceError::TooManyLogins {
            after: Duration::from_secs(self.wait.as_secs().max(1)),
        }
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(InMemory<'_>) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let turn = timeout(self.wait, self.turns.clone().acquire_owned()).await;
        let turn: OwnedSemaphorePermit = turn
            .map_err(|_| self.refused())?
            .map_err(|error| ServiceError::internal("password", error))?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let (at_once, memories) = (self.at_once.clone(), self.memories.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let mut memory = memories.take();
            let done = at_once.count(|| work(InMemory::new(&mut memory)));
            memories.give_back(memory);
            // Who asked may have left: the memory was taken until now all the same.
            drop(turn);
            done
        });
        computed
            .await
            .map_err(|error| ServiceError::internal("password", error))
    }
}

/// One of the places of [`Passwords`].
#[derive(Debug)]
pub(crate) struct Place<'a> {
    passwords: &'a Passwords,
    _held: SemaphorePermit<'a>,
}

impl Place<'_> {
    /// The password's hash as a PHC string, with a random salt. One computation.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, ServiceError> {
        let work = move |argon2: InMemory<'_>| argon2.hash(&password);
        self.passwords.compute(work).await?
    }

    /// Whether it is the password of `hash`. One computation, also if there is no hash.
    pub(crate) async fn is_right(
        &self,
        typed: Typed,
        hash: Option<String>,
    ) -> Result<bool, ServiceError> {
        let is_somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let work = move |argon2: InMemory<'_>| argon2.verify(&typed, &hash);
        let is_equal = self.passwords.compute(work).await??;
        Ok(is_equal && is_somebody)
    }
}

/// How many computations go on.
#[derive(Debug, Default)]
struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl AtOnce {
    fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let done = work();
        self.now.fetch_sub(1, Ordering::SeqCst);
        done
    }
}

/// The memory of computations, kept for those that come: an allocator would keep it too, but for each
/// thread that has ever had some, many times as much as is in use at once.
#[derive(Default)]
struct Memories(Mutex<Vec<Memory>>);

type Memory = Vec<Block>;

impl Memories {
    fn kept(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Memory {
        self.kept().pop().unwrap_or_default()
    }

    fn give_back(&self, memory: Memory) {
        self.kept().push(memory);
    }
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memories(***)")
    }
}

/// Argon2id that computes in memory which is there already, where that is enough.
struct InMemory<'a>(RefCell<&'a mut Memory>);

impl<'a> InMemory<'a> {
    fn new(memory: &'a mut Memory) -> Self {
        Self(RefCell::new(memory))
    }

    fn hash(&self, password: &Password) -> Result<String, ServiceError> {
        self.hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| ServiceError::internal("password hash", error))
    }

    fn verify(&self, typed: &Typed, hash: &str) -> Result<bool, ServiceError> {
        let fault =
            |error: &dyn fmt::Display| ServiceError::internal("stored password hash", error);
        let parsed = PasswordHash::new(hash).map_err(|error| fault(&error))?;
        match self.verify_password(&typed.0, &parsed) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }
}

impl PasswordHasher<PasswordHash> for InMemory<'_> {
    fn hash_password_with_salt(
        &self,
        password: &[u8],
        salt: &[u8],
    ) -> password_hash::Result<PasswordHash> {
        self.hash_password_with_params(password, salt, Params::default())
    }
}

/// As [`Argon2`] does it, which takes new memory each time.
impl CustomizedPasswordHasher<PasswordHash> for InMemory<'_> {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?;
        let algorithm = algorithm.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?;
        let version = version.unwrap_or_default();
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut output = [0; Output::MAX_LENGTH];
        let output = output
            .get_mut(..length)
            .ok_or(password_hash::Error::OutputSize)?;
        let memory = &mut **self.0.borrow_mut();
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::new());
        }
        Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(password, salt, output, memory)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

/// What somebody says is their password; it may be any text.
#[derive(Clone)]
pub(crate) struct Typed(Vec<u8>);

impl Typed {
    /// What was typed. What no password can be is cut to a length that is none either, so that
    /// it costs no more.
    pub(crate) fn new(text: &str) -> Self {
        let end = text.len().min(super::password::MAX_PASSWORD + 1);
        Self(text.as_bytes()[..end].to_vec())
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(***)")
    }
}

/// The password's hash, at once and whatever it takes: for the command line.
pub(crate) fn hash(password: &Password) -> Result<String, ServiceError> {
    InMemory::new(&mut Memory::new()).hash(password)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    fn password() -> Password {
        "demo-password".parse().unwrap()
    }

    #[tokio::test]
    async fn hashes_are_salted_argon2id() {
        let all = Passwords::new(64, Duration::from_secs(60));
        let passwords = all.place().unwrap();
        let one = passwords.hash(password()).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, passwords.hash(password()).await.unwrap());
        let is_right = async |typed: &str| {
            let hash = Some(one.clone());
            passwords.is_right(Typed::new(typed), hash).await.unwrap()
        };
        assert!(is_right("demo-password").await);
        assert!(!is_right("demo-passwore").await);
        assert_eq!(all.computed(), 4);
    }

    #[tokio::test]
    async fn computations_have_the_memory_of_those_before_them() {
        let passwords = Passwords::new(2 * MEMORY_MIB, Duration::from_secs(60));
        let place = passwords.place().unwrap();
        let hashes = (0..8).map(|_| place.hash(password()));
        for hash in join_all(hashes).await {
            let hash = PasswordHash::new(&hash.unwrap()).unwrap();
            let verified = Argon2::default().verify_password(b"demo-password", &hash);
            verified.unwrap();
        }
        let kept = passwords.memories.kept();
        assert!((1..=2).contains(&kept.len()), "{}", kept.len());
        for memory in &*kept {
            assert_eq!(memory.len(), Params::DEFAULT.block_count());
        }
    }

    #[tokio::test]
    async fn nobody_costs_what_somebody_costs() {
        let passwords = Passwords::new(64, Duration::from_secs(60));
        let place = passwords.place().unwrap();
        let is_right = place.is_right(Typed::new("demo-password"), None).await;
        assert!(!is_right.unwrap());
        assert_eq!(passwords.computed(), 1);
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = hash(&password()).unwrap();
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
    }

    #[tokio::test]
    async fn who_has_waited_for_too_long_is_refused() {
        let passwords = Passwords::new(0, Duration::ZERO);
        let place = passwords.place().unwrap();
        let turn = passwords.turns.clone().acquire_owned().await.unwrap();
        let refused = place.hash(password()).await.unwrap_err();
        assert!(matches!(refused, ServiceError::TooManyLogins { .. }));
        drop(turn);
        place.hash(password()).await.unwrap();
    }

    #[tokio::test]
    async fn a_place_is_had_until_all_is_done() {
        let passwords = Passwords::new(0, Duration::from_secs(60));
        let place = passwords.place().unwrap();
        place.hash(password()).await.unwrap();
        let others: Vec<_> = (0..64).map(|_| passwords.place().unwrap()).collect();
        let refused = passwords.place().unwrap_err();
        assert!(matches!(refused, ServiceError::TooManyLogins { .. }));
        drop(place);
        passwords.place().unwrap();
        drop(others);
    }
}
