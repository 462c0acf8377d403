//! The pure model: the states of an execution, a whole and its parts, without a store, and what each action does to
//! them.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::ATTEMPTS_MAX;
use stepbox_batch::execution::rescue::backoff_ms;
use stepbox_batch::execution::status::BatchStatus::{self, *};

use crate::sample::{LEASE_MS, NOW};

/// How many parts a whole is split into.
pub(super) const PARTS: usize = 2;
/// How long [`Action::Later`] waits, in milliseconds: longer than any wait after a loss.
const LATER_MS: u64 = 300_000;

/// An action on the executions of a [`Model`], each named by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A user publishes an execution for a tenant, which may lose `attempts_max` workers.
    Publish { tenant: usize, attempts_max: u32 },
    /// A process runs an execution itself: it is in no queue.
    Run { tenant: usize, by: usize },
    /// A user publishes an execution that continues another.
    Restart(usize),
    /// A worker takes the next entry of a tenant.
    ClaimNext { tenant: usize, by: usize },
    /// A worker takes this execution.
    Claim { execution: usize, by: usize },
    /// The holder of the lease saves that it has begun, with the step.
    Begin(usize),
    /// The holder saves a checkpoint with a warning.
    Keep(usize),
    /// The holder accepts the parts.
    Split(usize),
    /// The holder saves that it has seen the stop request.
    Heed(usize),
    /// The holder saves that it is about to pause.
    Yield(usize),
    /// The holder saves the execution as PAUSED, and gives it back.
    Rest(usize),
    /// The holder ends the execution, and gives it back.
    End(usize, BatchStatus),
    /// The holder prolongs its lease.
    Beat(usize),
    /// A worker that held the execution before saves something.
    Late(usize),
    /// A person requests a stop.
    Stop(usize),
    /// A person requests a pause.
    Pause(usize),
    /// A person makes a PAUSED execution wait in the queue.
    Resume(usize),
    /// A person abandons the execution.
    Abandon(usize),
    /// A person purges executions that have ended.
    Purge { tenant: usize },
    /// The time of a lease passes, in which these workers (bits) send no heartbeat.
    Lose(u8),
    /// A worker is known to be dead.
    Die(usize),
    /// Time passes, in which all workers send heartbeats.
    Later,
    /// The watchdog looks for lost executions.
    Rescue,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) is_claimed: bool,
    /// Whether no worker takes it until it is resumed.
    pub(super) is_paused: bool,
    pub(super) available_at: Timestamp,
    pub(super) losses: u32,
    pub(super) attempts_max: u32,
}

/// A worker's hold on an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    pub(super) worker: usize,
    /// Whether the lease has expired, and no process has acted on it.
    pub(super) is_over: bool,
}

/// An execution: all values on which its behaviour depends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Execution {
    pub(super) tenant: usize,
    /// The whole that it is a part of.
    pub(super) part_of: Option<usize>,
    pub(super) restart_of: Option<usize>,
    pub(super) status: BatchStatus,
    pub(super) step: Option<BatchStatus>,
    pub(super) checkpoints: u8,
    pub(super) hold: Option<Hold>,
    pub(super) token: u64,
    pub(super) attempt: u32,
    pub(super) is_to_stop: bool,
    pub(super) is_to_pause: bool,
    pub(super) entry: Option<Entry>,
    pub(super) is_purged: bool,
    /// Its events, in words.
    pub(super) events: Vec<String>,
}

impl Execution {
    pub(super) fn is_open(&self) -> bool {
        !self.is_purged && !self.status.has_ended()
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.is_some_and(|hold| !hold.is_over)
    }

    /// A change of status is an event if others see a difference.
    fn moves_to(&mut self, status: BatchStatus) {
        let event = match status {
            _ if status == self.status => None,
            Started => Some("started".to_owned()),
            Paused => Some("paused".to_owned()),
            _ if status.has_ended() => Some(format!("ended {status}")),
            _ => None,
        };
        self.events.extend(event);
        self.status = status;
    }

    /// The end of a step is an event.
    fn step_moves_to(&mut self, status: BatchStatus) {
        if status.has_ended() && self.step.is_none_or(|step| !step.has_ended()) {
            self.events.push(format!("step 0 {status}"));
        }
        self.step = Some(status);
    }

    fn is_lost(&self) -> bool {
        self.is_open() && self.hold.is_some_and(|hold| hold.is_over)
    }
}

/// All executions of a history, and the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Model {
    pub(super) now: Timestamp,
    pub(super) executions: Vec<Execution>,
    /// How many executions were lost by their workers.
    pub(super) losses: u64,
}

const LOST: &str = "lease-lost";
const REFUSED: &str = "wrong-status";

impl Model {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, executions: Vec::new(), losses: 0 }
    }

    /// The same value for equal states: without values that only grow, and without a difference between two
    /// workers.
    pub(super) fn key(&self) -> Self {
        let mut key = self.clone();
        (key.now, key.losses) = (NOW, 0);
        let first = self.executions.iter().find_map(|execution| execution.hold).map_or(0, |hold| hold.worker);
        for execution in &mut key.executions {
            (execution.token, execution.attempt) = (execution.token.min(1), 0);
            execution.checkpoints = execution.checkpoints.min(1);
            execution.events.clear();
            if let Some(entry) = &mut execution.entry {
                entry.available_at = if entry.available_at > self.now { NOW.plus_ms(1) } else { NOW };
            }
            if let Some(hold) = &mut execution.hold {
                hold.worker = usize::from(hold.worker != first);
            }
        }
        key
    }

    /// All executions, one per line, for a person who looks for an error.
    pub(super) fn told(&self) -> String {
        let lines = self.executions.iter().enumerate().map(|(index, execution)| {
            let Execution { status, part_of, hold, token, is_to_stop, is_to_pause, entry, .. } = execution;
            format!(
                "  {index} {status}, part of {part_of:?}, {hold:?}, token {token}, to stop {is_to_stop}, \
                 to pause {is_to_pause}, {entry:?}\n"
            )
        });
        lines.collect()
    }

    /// Carries out the action; returns the answer that the store must give.
    pub(super) fn act(&mut self, action: Action) -> String {
        use Action::*;
        match action {
            Publish { tenant, attempts_max } => {
                let entry = self.entry(attempts_max);
                self.accept(tenant, None, Some(entry));
                "ok".to_owned()
            }
            Run { tenant, by } => {
                let index = self.accept(tenant, None, None);
                self.take(index, by);
                "ok".to_owned()
            }
            Restart(index) => self.restart(index).to_owned(),
            ClaimNext { tenant, by } => {
                let next = self.next(tenant);
                if let Some(index) = next {
                    self.take(index, by);
                }
                format!("{next:?}")
            }
            Claim { execution, by } => self.claim(execution, by).to_owned(),
            Begin(index) => self.save(index, Started, false).to_owned(),
            Heed(index) => self.save(index, Stopping, false).to_owned(),
            Yield(index) => self.save(index, Pausing, false).to_owned(),
            Rest(index) => self.save(index, Paused, true).to_owned(),
            End(index, status) => self.save(index, status, true).to_owned(),
            Keep(index) => self.keep(index).to_owned(),
            Split(index) => self.split(index).to_owned(),
            Beat(index) => self.beat(index),
            Late(_) => LOST.to_owned(),
            Stop(index) => self.stop(index).to_owned(),
            Pause(index) => self.pause(index).to_owned(),
            Resume(index) => self.resume(index).to_owned(),
            Abandon(index) => self.abandon(index).to_owned(),
            Purge { tenant } => format!("{:?}", self.purge(tenant)),
            Lose(workers) => {
                self.pass(LEASE_MS, workers);
                "ok".to_owned()
            }
            Die(worker) => {
                self.leases_end(|hold| hold.worker == worker);
                "ok".to_owned()
            }
            Later => {
                self.pass(LATER_MS, 0);
                "ok".to_owned()
            }
            Rescue => format!("{:?}", self.rescue()),
        }
    }

    fn entry(&self, attempts_max: u32) -> Entry {
        Entry { is_claimed: false, is_paused: false, available_at: self.now, losses: 0, attempts_max }
    }

    fn accept(&mut self, tenant: usize, part_of: Option<usize>, entry: Option<Entry>) -> usize {
        self.executions.push(Execution {
            tenant,
            part_of,
            restart_of: None,
            status: Starting,
            step: part_of.map(|_| Starting),
            checkpoints: 0,
            hold: None,
            token: 0,
            attempt: 0,
            is_to_stop: false,
            is_to_pause: false,
            entry,
            is_purged: false,
            events: vec!["submitted".to_owned()],
        });
        self.executions.len() - 1
    }

    fn restart(&mut self, index: usize) -> &'static str {
        let before = &self.executions[index];
        let tenant = before.tenant;
        match before.status {
            _ if before.is_purged => "not-found",
            Stopped | Failed => {
                let goes_on = |next: &Execution| !next.is_purged && next.restart_of == Some(index);
                if self.executions.iter().any(goes_on) {
                    return "in-use";
                }
                let entry = self.entry(2);
                let next = self.accept(tenant, None, Some(entry));
                self.executions[next].restart_of = Some(index);
                "ok"
            }
            _ => REFUSED,
        }
    }

    /// The execution that is next: a part waits with the age of the whole.
    fn next(&self, tenant: usize) -> Option<usize> {
        let waits = |execution: &Execution| {
            let entry = execution.entry?;
            let is_free = !entry.is_claimed && !entry.is_paused;
            (execution.tenant == tenant && is_free && entry.available_at <= self.now).then_some(())
        };
        let indices = (0..self.executions.len()).filter(|index| waits(&self.executions[*index]).is_some());
        indices.min_by_key(|index| (self.executions[*index].part_of.unwrap_or(*index), *index))
    }

    fn claim(&mut self, index: usize, by: usize) -> &'static str {
        let execution = &self.executions[index];
        match execution.status {
            _ if execution.is_purged => "not-found",
            Starting | Paused if execution.part_of.is_some() && execution.is_to_pause => REFUSED,
            Starting | Paused if !execution.is_held() => {
                if execution.is_to_pause {
                    self.end_pause(index);
                }
                self.take(index, by);
                "ok"
            }
            _ => REFUSED,
        }
    }

    fn take(&mut self, index: usize, by: usize) {
        let execution = &mut self.executions[index];
        execution.token += 1;
        execution.attempt += 1;
        execution.hold = Some(Hold { worker: by, is_over: false });
        if let Some(entry) = &mut execution.entry {
            entry.is_claimed = true;
        }
    }

    /// An expired lease is still valid until a process acts on it.
    fn is_fenced(&self, index: usize) -> bool {
        self.executions[index].is_purged || self.executions[index].hold.is_none()
    }

    fn save(&mut self, index: usize, status: BatchStatus, is_last: bool) -> &'static str {
        if self.is_fenced(index) {
            return LOST;
        }
        let now = self.now;
        let execution = &mut self.executions[index];
        if execution.status != status && !execution.status.may_become(status) {
            return REFUSED;
        }
        execution.step_moves_to(status);
        execution.moves_to(status);
        if is_last {
            execution.hold = None;
            if status.has_ended() {
                execution.entry = None;
            }
            if let Some(entry) = &mut execution.entry {
                (entry.is_claimed, entry.is_paused, entry.available_at) = (false, execution.is_to_pause, now);
            }
        }
        "ok"
    }

    fn keep(&mut self, index: usize) -> &'static str {
        if self.is_fenced(index) {
            return LOST;
        }
        let execution = &mut self.executions[index];
        execution.checkpoints += 1;
        execution.step = Some(execution.status);
        "ok"
    }

    fn split(&mut self, index: usize) -> &'static str {
        if self.is_fenced(index) {
            return LOST;
        }
        let (tenant, entry) = (self.executions[index].tenant, self.entry(2));
        for _ in 0..PARTS {
            self.accept(tenant, Some(index), Some(entry));
        }
        if self.executions[index].is_to_pause {
            self.pause_parts_of(index);
        }
        "ok"
    }

    fn beat(&mut self, index: usize) -> String {
        if self.is_fenced(index) {
            return LOST.to_owned();
        }
        let execution = &mut self.executions[index];
        execution.hold = execution.hold.map(|hold| Hold { is_over: false, ..hold });
        format!("ok, to stop: {}, to pause: {}", execution.is_to_stop, execution.is_to_pause)
    }

    fn stop(&mut self, index: usize) -> &'static str {
        let execution = &mut self.executions[index];
        match execution.status {
            _ if execution.is_purged => return "not-found",
            status if status.has_ended() => return REFUSED,
            _ => execution.is_to_stop = true,
        }
        if matches!(execution.status, Starting | Paused) && !execution.is_held() {
            self.end(index, Stopped);
            return "StoppedAtOnce";
        }
        "Requested"
    }

    fn pause(&mut self, index: usize) -> &'static str {
        let execution = &self.executions[index];
        match execution.status {
            _ if execution.is_purged => return "not-found",
            status if status.has_ended() || status == Stopping => return REFUSED,
            _ if execution.part_of.is_some() || execution.is_to_stop => return REFUSED,
            _ => {}
        }
        let is_at_once = self.ask_to_pause(index);
        self.pause_parts_of(index);
        if is_at_once { "PausedAtOnce" } else { "Requested" }
    }

    /// Returns whether the execution is PAUSED now, because no worker holds it.
    fn ask_to_pause(&mut self, index: usize) -> bool {
        let execution = &mut self.executions[index];
        execution.is_to_pause = true;
        let is_at_once = matches!(execution.status, Starting | Paused) && !execution.is_held();
        if is_at_once {
            execution.moves_to(Paused);
            execution.hold = None;
            if let Some(entry) = &mut execution.entry {
                (entry.is_claimed, entry.is_paused) = (false, true);
            }
        }
        is_at_once
    }

    fn pause_parts_of(&mut self, whole: usize) {
        for index in 0..self.executions.len() {
            if self.executions[index].part_of == Some(whole) && self.executions[index].is_open() {
                self.ask_to_pause(index);
            }
        }
    }

    fn resume(&mut self, index: usize) -> &'static str {
        let execution = &self.executions[index];
        let waits = |entry: Entry| !entry.is_claimed && !entry.is_paused;
        match execution.status {
            _ if execution.is_purged => "not-found",
            _ if execution.part_of.is_some() => REFUSED,
            Paused if execution.is_held() || execution.entry.is_some_and(waits) => REFUSED,
            Paused => {
                let entry = self.entry(ATTEMPTS_MAX);
                self.executions[index].entry.get_or_insert(entry);
                self.end_pause(index);
                "ok"
            }
            _ => REFUSED,
        }
    }

    fn end_pause(&mut self, whole: usize) {
        for (index, execution) in self.executions.iter_mut().enumerate() {
            if (index == whole || execution.part_of == Some(whole)) && execution.is_open() {
                execution.is_to_pause = false;
                if let Some(entry) = &mut execution.entry {
                    entry.is_paused = false;
                }
            }
        }
    }

    fn abandon(&mut self, index: usize) -> &'static str {
        let execution = &mut self.executions[index];
        match execution.status {
            _ if execution.is_purged => return "not-found",
            Starting | Paused if execution.is_held() => return REFUSED,
            Starting | Paused => self.end(index, Abandoned),
            status if status.may_become(Abandoned) => {
                execution.moves_to(Abandoned);
                self.stop_parts_of(index);
            }
            _ => return REFUSED,
        }
        "ok"
    }

    /// Deletes executions that have ended, except the last success of a tenant's instance; parts are deleted with
    /// the whole.
    fn purge(&mut self, tenant: usize) -> Vec<usize> {
        let of_tenant = |execution: &Execution| {
            execution.tenant == tenant && execution.part_of.is_none() && !execution.is_purged
        };
        let is_success = |execution: &Execution| of_tenant(execution) && execution.status == Completed;
        let kept = self.executions.iter().rposition(is_success);
        let has_ended = |index: &usize| {
            let execution = &self.executions[*index];
            of_tenant(execution) && execution.status.has_ended() && Some(*index) != kept
        };
        let purged: Vec<_> = (0..self.executions.len()).filter(has_ended).collect();
        for (index, execution) in self.executions.iter_mut().enumerate() {
            if purged.contains(&index) || execution.part_of.is_some_and(|whole| purged.contains(&whole)) {
                (execution.is_purged, execution.hold, execution.entry) = (true, None, None);
            }
        }
        purged
    }

    fn pass(&mut self, ms: u64, lost: u8) {
        self.now = self.now.plus_ms(ms);
        self.leases_end(|hold| lost & (1 << hold.worker) != 0);
    }

    fn leases_end(&mut self, of: impl Fn(&Hold) -> bool) {
        for execution in self.executions.iter_mut().filter(|execution| execution.is_open()) {
            if let Some(hold) = execution.hold.as_mut().filter(|hold| of(hold)) {
                hold.is_over = true;
            }
        }
    }

    /// Handles each lost execution, wholes first, and the open parts of ended wholes. Returns the executions, and
    /// what happened to each.
    fn rescue(&mut self) -> Vec<(usize, &'static str)> {
        let mut lost: Vec<_> =
            (0..self.executions.len()).filter(|index| self.executions[*index].is_lost()).collect();
        lost.sort_by_key(|index| self.executions[*index].part_of.is_some());
        self.losses += lost.len() as u64;
        let mut rescued = Vec::new();
        for index in lost {
            // A part may have ended with its whole.
            if self.executions[index].is_lost() && !self.is_left_behind(index) {
                rescued.push((index, self.lose(index)));
            }
        }
        for index in
            (0..self.executions.len()).filter(|index| self.is_left_behind(*index)).collect::<Vec<_>>()
        {
            match self.executions[index].is_held() {
                true => self.executions[index].is_to_stop = true,
                false => {
                    self.end(index, Stopped);
                    rescued.push((index, "stopped"));
                }
            }
        }
        rescued.sort_unstable();
        rescued
    }

    /// Whether it is a part whose whole has ended.
    pub(super) fn is_left_behind(&self, index: usize) -> bool {
        let execution = &self.executions[index];
        execution.is_open() && execution.part_of.is_some_and(|whole| !self.executions[whole].is_open())
    }

    fn lose(&mut self, index: usize) -> &'static str {
        let now = self.now;
        let execution = &mut self.executions[index];
        let Some(entry) = &mut execution.entry else {
            self.end(index, Failed);
            return "failed";
        };
        entry.losses += 1;
        if execution.is_to_stop {
            self.end(index, Stopped);
            return "stopped";
        }
        if entry.losses >= entry.attempts_max {
            self.end(index, Failed);
            return "failed";
        }
        (entry.is_claimed, entry.available_at) = (false, now.plus_ms(backoff_ms(entry.losses)));
        entry.is_paused = execution.is_to_pause;
        if execution.status != Starting || execution.is_to_pause {
            execution.status = Paused;
        }
        execution.step = execution.step.map(|step| if step == Starting { Starting } else { Paused });
        execution.hold = None;
        execution.token += 1;
        execution.events.push("rescued".to_owned());
        "requeued"
    }

    /// Ends an execution without its worker, and its parts with it.
    fn end(&mut self, index: usize, status: BatchStatus) {
        let execution = &mut self.executions[index];
        if execution.step.is_some() {
            execution.step_moves_to(status);
        }
        execution.moves_to(status);
        (execution.hold, execution.entry) = (None, None);
        self.stop_parts_of(index);
    }

    fn stop_parts_of(&mut self, whole: usize) {
        for index in 0..self.executions.len() {
            let part = &mut self.executions[index];
            if part.part_of == Some(whole) && part.is_open() {
                part.is_to_stop = true;
                if !part.is_held() {
                    self.end(index, Stopped);
                }
            }
        }
    }
}
