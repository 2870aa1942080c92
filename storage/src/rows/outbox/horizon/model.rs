//! PostgreSQL as far as it matters here, its writers and a reader, in every order that
//! chance finds; also a server that takes over without the last commits. What the reader must not get wrong is checked against what was
//! committed; readers that are wrong on purpose show that the check would notice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::*;

const WRITERS: usize = 5;
const BATCH: usize = 4;
const CASES: u32 = 10_000;

#[derive(Clone, Copy, Debug)]
enum Action {
    /// Begins a transaction, if that writer has none.
    Begin(usize),
    /// Draws a number and inserts a row.
    Append(usize),
    Commit(usize),
    RollBack(usize),
    /// The reader's next step.
    Read,
    /// The server dies and goes on without telling: the hardest to notice.
    Crash,
    /// Another server has all of this one.
    Replicate,
    /// The server dies, and that one takes over without what came after.
    FailOver,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let writer = 0..WRITERS;
    let action = prop_oneof![
        4 => writer.clone().prop_map(Action::Begin),
        5 => writer.clone().prop_map(Action::Append),
        4 => writer.clone().prop_map(Action::Commit),
        1 => writer.prop_map(Action::RollBack),
        8 => Just(Action::Read),
        1 => Just(Action::Crash),
        2 => Just(Action::Replicate),
        1 => Just(Action::FailOver),
    ];
    prop::collection::vec(action, 1..120)
}

/// What was written: numbers come again on a server that has lost commits, these do not.
type EventId = u32;

#[derive(Clone, Debug, Default)]
struct Writing {
    /// `None` until it has one: only [`Reader::WritersIdsAreLate`].
    id: Option<i64>,
    rows: Vec<(i64, EventId)>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    /// When it began.
    start: i64,
    /// The consumer's row.
    position: i64,
    last_id: i64,
    /// What a crash does not take back: ids of transactions that wrote and committed.
    durable_id: i64,
    last_ended: i64,
    last_number: i64,
    running: BTreeMap<usize, Writing>,
    committed: BTreeMap<i64, EventId>,
}

impl Server {
    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    fn append(&mut self, writer: usize, event: EventId) {
        if let Some(writing) = self.running.get_mut(&writer) {
            self.last_number += 1;
            writing.rows.push((self.last_number, event));
        }
    }

    /// What a writer without an id does after it has drawn a number.
    fn give_late_ids(&mut self, writer: usize) {
        let id = self.last_id + 1;
        if let Some(writing) = self.running.get_mut(&writer)
            && writing.id.is_none()
            && !writing.rows.is_empty()
        {
            writing.id = Some(id);
            self.last_id = id;
        }
    }

    fn end(&mut self, writer: usize, commits: bool) {
        self.give_late_ids(writer);
        let Some(writing) = self.running.remove(&writer) else {
            return;
        };
        if let Some(id) = writing.id {
            self.last_ended = self.last_ended.max(id);
            if commits && !writing.rows.is_empty() {
                self.durable_id = self.durable_id.max(id);
            }
        }
        if commits {
            self.committed.extend(writing.rows);
        }
    }

    fn crash(&mut self) {
        self.running.clear();
        self.last_id = self.durable_id;
        self.last_ended = self.durable_id;
        // Numbers that were set aside, 32 at a time, are lost; none is given twice.
        self.last_number += 3;
    }

    /// Moves the consumer's position as the statement does that does it.
    fn advance(&mut self, from: Place, to: i64, checks_server: bool) {
        let is_same = !checks_server || from.server == self.start;
        if is_same && from.position == self.position {
            self.position = to;
        }
    }

    /// `GetSnapshotData`: ids from `next` on are not looked at.
    fn writers(&self) -> Writers {
        let next = self.last_ended + 1;
        let ids = self.running.values().filter_map(|writing| writing.id);
        let oldest = ids.min().map_or(next, |oldest| oldest.min(next));
        Writers { oldest, next }
    }

    fn visible(&self, position: i64) -> Vec<(i64, EventId)> {
        let above = self.committed.range(position + 1..);
        above.take(BATCH).map(|(n, event)| (*n, *event)).collect()
    }
}

/// The one that is used, and those that lose events or stand still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reader {
    Ours,
    /// Goes on from the highest number it has seen.
    Naive,
    /// Waits for the transactions below the snapshot's upper end.
    SnapshotEnd,
    /// Uses an id that it took before it saw the hole.
    EarlyId,
    /// Reads the rows with one statement and the transactions with the next.
    TwoStatements,
    /// Its writers draw numbers before they have an id.
    WritersIdsAreLate,
    /// Settles what it sees when the wait ends, not what it saw when the wait began.
    SettlesTooMuch,
    /// Waits for an id that the server has forgotten.
    Faithful,
    /// Goes on from the position that it remembers.
    KeepsPosition,
    /// Takes what one server has settled for settled on the next.
    KeepsHorizon,
    /// Moves the position on whatever server.
    AdvancesAnywhere,
}

#[derive(Debug)]
struct World {
    reader: Reader,
    server: Server,
    /// What another server has.
    replica: Server,
    /// How often one took over.
    failovers: i64,
    events: EventId,
    horizon: Horizon,
    delivered: Vec<EventId>,
    /// A hole was found, and its id is the next step.
    owed: Option<i64>,
    /// What was delivered, and its position is the next step but for that.
    taken: Option<(Place, i64)>,
    /// [`Reader::KeepsPosition`]
    position: i64,
    /// [`Reader::EarlyId`]
    early_id: i64,
    /// [`Reader::TwoStatements`]
    rows: Option<Vec<(i64, EventId)>>,
}

impl World {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            server: Server::default(),
            replica: Server::default(),
            failovers: 0,
            events: 0,
            horizon: Horizon::default(),
            delivered: Vec::new(),
            owed: None,
            taken: None,
            position: 0,
            early_id: 0,
            rows: None,
        }
    }

    fn act(&mut self, action: Action) {
        let server = &mut self.server;
        match action {
            Action::Begin(writer) => {
                if !server.running.contains_key(&writer) {
                    let late = self.reader == Reader::WritersIdsAreLate;
                    let id = (!late).then(|| server.next_id());
                    let writing = Writing {
                        id,
                        ..Writing::default()
                    };
                    server.running.insert(writer, writing);
                }
            }
            Action::Append(writer) => {
                // The id comes with the next action of that writer.
                server.give_late_ids(writer);
                self.events += 1;
                server.append(writer, self.events);
            }
            Action::Commit(writer) => server.end(writer, true),
            Action::RollBack(writer) => server.end(writer, false),
            Action::Crash => server.crash(),
            Action::Replicate => self.replica = server.clone(),
            Action::FailOver => {
                self.failovers += 1;
                *server = self.replica.clone();
                server.crash();
                // Numbers of lost commits come again, soon enough for chance to find it.
                server.last_number -= 3;
                server.start = 1_000 * self.failovers;
            }
            Action::Read => self.read(),
        }
    }

    /// One round trip: what others do comes in between.
    fn read(&mut self) {
        if let Some(seen) = self.owed.take() {
            let id = match self.reader {
                Reader::EarlyId => self.early_id,
                _ => self.server.next_id(),
            };
            self.server.last_ended = self.server.last_ended.max(id);
            self.horizon.wait_for(seen, id);
            return;
        }
        if let Some((from, to)) = self.taken.take() {
            let checks_server = self.reader != Reader::AdvancesAnywhere;
            self.server.advance(from, to, checks_server);
            return;
        }
        let position = match self.reader {
            Reader::KeepsPosition => self.position,
            _ => self.server.position,
        };
        let mut writers = self.server.writers();
        let rows = match (self.reader, self.rows.take()) {
            (Reader::TwoStatements, None) => {
                self.rows = Some(self.server.visible(position));
                return;
            }
            (_, Some(rows)) => rows,
            (_, None) => self.server.visible(position),
        };
        let numbers: Vec<i64> = rows.iter().map(|(number, _)| *number).collect();
        match (self.reader, &mut self.horizon.waiting) {
            (Reader::SettlesTooMuch, Some(waiting)) => {
                waiting.seen = numbers.last().copied().unwrap_or(waiting.seen);
            }
            (Reader::Faithful, _) => writers.next = i64::MAX,
            // It has no id of its own that a crash could take.
            (Reader::SnapshotEnd | Reader::EarlyId, Some(waiting)) => {
                writers.next = writers.next.max(waiting.id + 1);
            }
            _ => {}
        }
        let from = Place {
            server: self.server.start,
            position,
        };
        if self.reader == Reader::KeepsHorizon {
            self.horizon.place = None;
        }
        let found = match self.reader {
            Reader::Naive => Found {
                ready: numbers.len(),
                hole: Hole::None,
            },
            _ => self.horizon.look(from, &numbers, Some(writers)),
        };
        for &(number, event) in &rows[..found.ready] {
            self.delivered.push(event);
            self.position = number;
            self.taken = Some((from, number));
        }
        match found.hole {
            Hole::New { seen } if self.reader == Reader::SnapshotEnd => {
                self.horizon.wait_for(seen, writers.next);
            }
            Hole::New { seen } => self.owed = Some(seen),
            Hole::None | Hole::Open => {}
        }
        if self.reader == Reader::EarlyId && found.hole == Hole::None {
            self.early_id = self.server.next_id();
            self.server.last_ended = self.server.last_ended.max(self.early_id);
        }
    }

    /// Every event that the server has, once all writers have ended: once and in order,
    /// but for what comes again after another server took over.
    fn check(mut self) -> Result<(), TestCaseError> {
        for writer in 0..WRITERS {
            self.server.end(writer, writer % 2 == 0);
        }
        // No hole is waited for twice: a step for its id, one for the position, and a look
        // before and after.
        let steps = 2 * (4 * self.server.committed.len() + 5);
        for _ in 0..steps {
            self.read();
        }
        let committed: Vec<EventId> = self.server.committed.values().copied().collect();
        if self.failovers == 0 {
            prop_assert_eq!(self.delivered, committed);
            return Ok(());
        }
        // The last time that each came, they came in order.
        let mut last: Vec<EventId> = Vec::new();
        for event in self.delivered.iter().rev() {
            if self.server.committed.values().any(|e| e == event) && !last.contains(event) {
                last.push(*event);
            }
        }
        last.reverse();
        prop_assert_eq!(last, committed);
        Ok(())
    }
}

fn run(reader: Reader, actions: &[Action]) -> Result<(), TestCaseError> {
    let mut world = World::new(reader);
    for action in actions {
        world.act(*action);
    }
    world.check()
}

proptest! {
    #![proptest_config(Config::with_cases(CASES))]

    #[test]
    fn s10_nothing_is_skipped_and_nothing_waits_for_ever(actions in actions()) {
        run(Reader::Ours, &actions)?;
    }
}

/// Whether the model finds a history in which the reader is wrong.
fn fails(reader: Reader) -> bool {
    let config = Config {
        cases: CASES,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let result = runner.run(&actions(), |actions| run(reader, &actions));
    matches!(result, Err(TestError::Fail(..)))
}

#[test]
fn s10_the_model_finds_every_reader_that_is_wrong() {
    for reader in [
        Reader::Naive,
        Reader::SnapshotEnd,
        Reader::EarlyId,
        Reader::TwoStatements,
        Reader::WritersIdsAreLate,
        Reader::SettlesTooMuch,
        Reader::Faithful,
        Reader::KeepsPosition,
        Reader::KeepsHorizon,
        Reader::AdvancesAnywhere,
    ] {
        assert!(fails(reader), "{reader:?} passes");
    }
}
