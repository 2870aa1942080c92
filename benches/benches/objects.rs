//! Objects in files against plain `std::fs` on the same bytes.
//!
//! Not criterion: the two take turns, so that a disk that gets slower meanwhile is the same
//! for both, and what counts is the ratio of their medians. At `Durability::Name`, which is
//! what ships, `std::fs` takes exactly the steps of ours: a temporary name, write, flush,
//! rename, flush the folder. At the other two levels it does the least that stores a file:
//! create, write and, where we flush, flush. It has no runtime that must not wait for a
//! disk: for each operation of ours another thread is woken. With one operation at a time
//! that shows as latency; with several, as in a server, as what it costs.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::objects::{Durability, FileStore, ObjectStore};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Bytes of an object, how many each worker puts and gets in a turn, and turns.
const SIZES: [(&str, usize, usize, usize); 3] = [
    ("16 kB", 16_000, 32, 20),
    ("1 MB", 1_000_000, 16, 20),
    ("16 MB", 16_000_000, 2, 6),
];

fn main() -> io::Result<()> {
    let mut filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    if filters
        .next()
        .is_some_and(|name| !"objects".contains(&*name))
    {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    println!(
        "objects in files against std::fs, {}",
        disk(directory.path())?
    );
    println!("median time of one object; the ratio is std's median by ours");
    for (durability, steps) in [
        (
            Durability::Name,
            "temporary, write, sync_data, rename, sync the folder",
        ),
        (Durability::Content, "create, write, sync_data"),
        (Durability::Process, "create, write"),
    ] {
        let ships = match durability == Durability::default() {
            true => ", which is the default",
            false => "",
        };
        println!("\ndurability={durability:?}{ships}; to put, std::fs does: {steps}");
        for workers in [1, 4] {
            for (name, size, each, turns) in SIZES {
                let root = directory
                    .path()
                    .join(format!("{durability:?}-{workers}-{size}"));
                let sides = Sides::new(&root, durability, size, workers, each)?;
                sides.measure(&runtime, name, turns)?;
                drop(sides);
                fs::remove_dir_all(root)?;
            }
        }
    }
    Ok(())
}

/// The file system that `folder` is on, with the options of its mount.
fn disk(folder: &Path) -> io::Result<String> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let folder = folder.canonicalize()?;
    // fstab(5): device, mount point, type, options.
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(point).then_some((point, kind, options))
    });
    let mount = mounts.max_by_key(|(point, ..)| point.len());
    let (point, kind, options) = mount.unwrap_or(("/", "unknown", ""));
    Ok(format!(
        "in {}: {kind} on {point} ({options})",
        folder.display()
    ))
}

struct Sides {
    store: FileStore,
    plain: PathBuf,
    durability: Durability,
    data: Bytes,
    workers: usize,
    each: usize,
}

#[derive(Clone, Copy)]
enum Work {
    Put,
    Get,
}

impl Sides {
    fn new(
        root: &Path,
        durability: Durability,
        size: usize,
        workers: usize,
        each: usize,
    ) -> io::Result<Arc<Self>> {
        let plain = root.join("plain");
        fs::create_dir_all(&plain)?;
        let store = FileStore::open_with(&root.join("objects"), durability);
        Ok(Arc::new(Self {
            store: store.map_err(io::Error::other)?,
            plain,
            durability,
            data: Bytes::from_iter((0..size).map(|index| index as u8)),
            workers,
            each,
        }))
    }

    fn measure(self: &Arc<Self>, runtime: &Runtime, name: &str, turns: usize) -> io::Result<()> {
        for (what, work) in [("put", Work::Put), ("get", Work::Get)] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // The first warms up; who begins changes from turn to turn.
            for turn in 0..=turns {
                let mut one = || self.ours(runtime, work, turn).map(|time| ours.push(time));
                let mut other = || self.theirs(work, turn).map(|time| theirs.push(time));
                if turn.is_multiple_of(2) {
                    one()?;
                    other()?;
                } else {
                    other()?;
                    one()?;
                }
            }
            let (ours, theirs) = (self.median(ours), self.median(theirs));
            let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
            let (durability, workers) = (format!("{:?}", self.durability), self.workers);
            let objects = turns * workers * self.each;
            println!(
                "  {what} {name:>5}  durability={durability:<7} workers={workers}  \
                 {objects:>4} objects  ours {ours:>9.1?}  std {theirs:>9.1?}  ratio {ratio:.2}"
            );
        }
        Ok(())
    }

    fn median(&self, mut times: Vec<Duration>) -> Duration {
        times.remove(0);
        times.sort_unstable();
        times[times.len() / 2] / (self.workers * self.each) as u32
    }

    fn names(&self, turn: usize, worker: usize) -> impl Iterator<Item = String> + use<> {
        (0..self.each).map(move |index| format!("{turn}-{worker}-{index}.m4s"))
    }

    fn ours(self: &Arc<Self>, runtime: &Runtime, work: Work, turn: usize) -> io::Result<Duration> {
        let begun = Instant::now();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for worker in 0..self.workers {
                let this = self.clone();
                tasks.spawn(async move {
                    for name in this.names(turn, worker) {
                        match work {
                            Work::Put => this.store.put(&name, this.data.clone()).await,
                            Work::Get => this.store.get(&name).await.map(|got| this.check(&got)),
                        }
                        .map_err(io::Error::other)?;
                    }
                    Ok(())
                });
            }
            tasks
                .join_all()
                .await
                .into_iter()
                .collect::<io::Result<()>>()
        })?;
        Ok(begun.elapsed())
    }

    fn theirs(&self, work: Work, turn: usize) -> io::Result<Duration> {
        let begun = Instant::now();
        if self.workers == 1 {
            // A thread that has read before has its memory already.
            self.plainly(work, turn, 0)?;
            return Ok(begun.elapsed());
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.workers)
                .map(|worker| scope.spawn(move || self.plainly(work, turn, worker)))
                .collect();
            let mut joined = threads.into_iter().map(|thread| thread.join());
            joined.try_for_each(|ended| {
                ended.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            })
        })?;
        Ok(begun.elapsed())
    }

    fn plainly(&self, work: Work, turn: usize, worker: usize) -> io::Result<()> {
        for name in self.names(turn, worker) {
            let path = self.plain.join(name);
            match work {
                Work::Put => self.write(&path)?,
                Work::Get => self.check(&fs::read(path)?),
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        match self.durability {
            Durability::Process => self.write_as(path).map(drop),
            Durability::Content => self.write_as(path)?.sync_data(),
            Durability::Name => {
                let temporary = path.with_extension("tmp");
                self.write_as(&temporary)?.sync_data()?;
                fs::rename(temporary, path)?;
                File::open(&self.plain)?.sync_all()
            }
        }
    }

    fn write_as(&self, path: &Path) -> io::Result<File> {
        let mut file = File::create(path)?;
        file.write_all(&self.data)?;
        Ok(file)
    }

    fn check(&self, got: &[u8]) {
        assert_eq!(black_box(got).len(), self.data.len());
    }
}
