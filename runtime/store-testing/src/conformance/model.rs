//! Every history of executions, wholes and parts: their actions in any order, at every save.
//!
//! `model/state.rs` is the model: what each action does, without a store. `model/world.rs` does the same in a
//! store, and compares everything that can be read from the store with the model. Histories are explored up to a
//! depth, each state and each step between two states once; longer histories are random. Each history ends with the
//! loss of all workers, and another worker brings everything to its end.

#![expect(clippy::print_stdout, reason = "it tells how much was covered, and the seed")]

mod state;
mod world;

use std::collections::HashMap;
use std::env;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::ports::JobRepository;

use crate::sample::NOW;
use state::{Action, Model};
use world::{Agreement, World};

/// How many actions after the beginning are explored in every store, also in a store whose commits are slow.
const DEPTH: usize = 1;
/// How many random histories every store runs; `STEPBOX_MODEL_WALKS` overrides it.
const WALKS: u64 = 20;
/// How many actions one history has at most before it is brought to its end.
const LENGTH_MAX: usize = 60;
/// How many executions a random history has at most.
const EXECUTIONS_MAX: usize = 9;

pub async fn short_histories_end_well(store: &dyn JobRepository) {
    explore(store, DEPTH, "").await;
}

pub async fn random_histories_end_well(store: &dyn JobRepository) {
    walk_at_random(store, WALKS).await;
}

/// The beginnings. Each also has an execution of another tenant, which the same worker runs, and which must not be
/// affected.
fn beginnings() -> Vec<(&'static str, Vec<Action>)> {
    use Action::*;
    let bystander = [Publish { tenant: 1, attempts_max: 5 }, ClaimNext { tenant: 1, by: 0 }, Begin(0)];
    let queued = |attempts_max| vec![Publish { tenant: 0, attempts_max }, ClaimNext { tenant: 0, by: 0 }];
    let split = vec![Begin(1), Split(1)];
    let held = vec![ClaimNext { tenant: 0, by: 0 }, Begin(2), ClaimNext { tenant: 0, by: 1 }, Begin(3)];
    let run = vec![Run { tenant: 0, by: 0 }];
    let rows = [
        ("a published one", vec![Publish { tenant: 0, attempts_max: 3 }]),
        ("one that is run", run.clone()),
        ("a whole, split", [queued(2), split.clone()].concat()),
        ("a whole whose parts are run", [queued(2), split.clone(), held.clone()].concat()),
        (
            "a whole at its last attempt whose parts are run",
            [queued(1), split.clone(), held.clone()].concat(),
        ),
        (
            "a whole that is to stop whose parts are run",
            [queued(2), split.clone(), held.clone(), vec![Stop(1)]].concat(),
        ),
        ("a whole in no queue whose parts are run", [run, split.clone(), held.clone()].concat()),
        ("a whole that is to pause whose parts are run", [queued(2), split, held, vec![Pause(1)]].concat()),
    ];
    let after = |(name, rest): (_, Vec<Action>)| (name, [&bystander[..], &rest].concat());
    rows.into_iter().map(after).collect()
}

/// The actions that are possible next for a tenant's executions, including those that will be refused.
fn actions(model: &Model, workers: usize) -> Vec<Action> {
    use Action::*;
    let mut actions = vec![Rescue, Later, Purge { tenant: 0 }];
    let all: u8 = (1 << workers) - 1;
    actions.extend((1..=all).map(Lose));
    actions.extend((0..workers).flat_map(|by| [Die(by), ClaimNext { tenant: 0, by }]));
    for (index, execution) in model.executions.iter().enumerate().filter(|(_, of)| of.tenant == 0) {
        actions.extend((0..workers).map(|by| Claim { execution: index, by }));
        actions.extend([Completed, Stopped, Failed].map(|status| End(index, status)));
        actions.extend(
            [Begin, Heed, Yield, Rest, Beat, Stop, Pause, Resume, Abandon].map(|action| action(index)),
        );
        if execution.token > 0 {
            actions.push(Late(index));
        }
        if execution.status == Started {
            actions.push(Keep(index));
        }
        if execution.part_of.is_none() {
            actions.push(Restart(index));
            let is_split = model.executions.iter().any(|part| part.part_of == Some(index));
            if execution.status == Started && !is_split {
                actions.push(Split(index));
            }
        }
    }
    actions
}

/// How much was explored.
#[derive(Debug, Default)]
struct Covered {
    states: usize,
    /// Steps from one state to another, or to the same.
    steps: usize,
    histories: usize,
    losses: u64,
}

/// A state that a history reaches.
struct Place {
    model: Model,
    /// The place before it, and the action that leads from there to here; `None` for the beginning.
    from: Option<(usize, Action)>,
    depth: usize,
    /// Actions that change nothing here, and were not tried yet.
    idle: Vec<Action>,
    /// Actions that lead to another place, and were not tried yet.
    onward: Vec<Action>,
}

/// All states within a depth of a beginning.
struct Map {
    places: Vec<Place>,
    by_key: HashMap<Model, usize>,
}

impl Map {
    fn new(beginning: &[Action], depth: usize) -> Self {
        let mut model = Model::new(NOW);
        for action in beginning {
            model.act(*action);
        }
        let mut map = Self { places: Vec::new(), by_key: HashMap::new() };
        map.add(model, None, 0);
        let mut next = 0;
        while let Some(place) = map.places.get(next).filter(|place| place.depth < depth) {
            let (model, at) = (place.model.clone(), place.depth + 1);
            for action in map.places[next].onward.clone() {
                let mut then = model.clone();
                then.act(action);
                if !map.by_key.contains_key(&then.key()) {
                    map.add(then, Some((next, action)), at);
                }
            }
            next += 1;
        }
        // The farthest places have no further actions.
        map.places[next..].iter_mut().for_each(|place| place.onward.clear());
        map
    }

    fn add(&mut self, model: Model, from: Option<(usize, Action)>, depth: usize) {
        let is_idle = |action: &Action| {
            let mut then = model.clone();
            then.act(*action);
            then.key() == model.key()
        };
        let (idle, onward) = actions(&model, 2).into_iter().partition(is_idle);
        self.by_key.insert(model.key(), self.places.len());
        self.places.push(Place { model, from, depth, idle, onward });
    }

    /// A place with an action that was not tried yet.
    fn untried(&self) -> Option<usize> {
        self.places.iter().position(|place| !place.onward.is_empty() || !place.idle.is_empty())
    }

    /// The actions from the beginning to a place.
    fn way_to(&self, mut place: usize) -> Vec<Action> {
        let mut way = Vec::new();
        while let Some((before, action)) = self.places[place].from {
            way.push(action);
            place = before;
        }
        way.reverse();
        way
    }
}

/// A number from an environment variable.
fn said(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

/// From the beginnings with this text in their names, runs every step between the states within a depth, in few
/// histories.
///
/// `STEPBOX_MODEL_DEPTH` overrides the depth.
pub async fn explore(store: &dyn JobRepository, depth: usize, name: &str) {
    let depth = said("STEPBOX_MODEL_DEPTH").map_or(depth, |depth| depth as usize);
    let (mut now, mut all) = (NOW, Covered::default());
    for (name, beginning) in beginnings().into_iter().filter(|(known, _)| known.contains(name)) {
        let mut map = Map::new(&beginning, depth);
        all.states += map.places.len();
        while let Some(place) = map.untried() {
            let mut history = [&beginning[..], &map.way_to(place)].concat();
            now = match go(store, &mut map, place, &mut history, now, &mut all).await {
                Ok(now) => now,
                Err(difference) => panic!("{name}: {difference}\nafter {history:?}"),
            };
        }
    }
    println!(
        "{} states and {} steps between them in {} histories with {} losses, to a depth of {depth}",
        all.states, all.steps, all.histories, all.losses
    );
}

/// Runs a history to a place with an untried action, and continues as long as there are more of them.
async fn go(
    store: &dyn JobRepository,
    map: &mut Map,
    mut place: usize,
    history: &mut Vec<Action>,
    now: Timestamp,
    all: &mut Covered,
) -> Agreement<Timestamp> {
    let mut world = World::new(store, Model::new(now)).await?;
    for action in &*history {
        world.perform(*action).await?;
    }
    while history.len() < LENGTH_MAX {
        let idle = std::mem::take(&mut map.places[place].idle);
        all.steps += idle.len();
        for action in &idle {
            world.perform(*action).await.map_err(|what| format!("{what} ({action:?} changes nothing)"))?;
        }
        world.check().await.map_err(|what| format!("{what} (after {idle:?}, which change nothing)"))?;
        let Some(action) = map.places[place].onward.pop() else { break };
        history.push(action);
        all.steps += 1;
        world.perform(action).await?;
        world.check().await?;
        place = map.by_key.get(&world.model.key()).copied().ok_or("a state that is not on the map")?;
    }
    world.wind_up().await?;
    all.histories += 1;
    all.losses += world.model.losses;
    Ok(world.model.now)
}

/// Longer histories of more executions and three workers; the seed of each is printed.
pub async fn walk_at_random(store: &dyn JobRepository, walks: u64) {
    let (first, walks) =
        (said("STEPBOX_MODEL_SEED").unwrap_or(1), said("STEPBOX_MODEL_WALKS").unwrap_or(walks));
    let (mut now, mut all) = (NOW, Covered::default());
    for seed in first..first + walks {
        let mut history = Vec::new();
        now = match stroll(store, seed, &mut history, now, &mut all).await {
            Ok(now) => now,
            Err(difference) => {
                panic!("{difference}\nafter {history:?}\nSTEPBOX_MODEL_SEED={seed} repeats it")
            }
        };
    }
    println!(
        "{} steps in {} random histories with {} losses, from seed {first} on",
        all.steps, all.histories, all.losses
    );
}

async fn stroll(
    store: &dyn JobRepository,
    seed: u64,
    history: &mut Vec<Action>,
    now: Timestamp,
    all: &mut Covered,
) -> Agreement<Timestamp> {
    use Action::*;
    let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut world = World::new(store, Model::new(now)).await?;
    while history.len() < LENGTH_MAX {
        let mut choice = actions(&world.model, 3);
        if world.model.executions.len() < EXECUTIONS_MAX {
            for by in 0..3 {
                choice.extend([Run { tenant: 0, by }, ClaimNext { tenant: 1, by }]);
            }
            choice.extend((0..2).map(|tenant| Publish { tenant, attempts_max: 1 + numbers.below(3) as u32 }));
        } else {
            choice.retain(|action| !matches!(action, Restart(_) | Split(_)));
        }
        let action = choice[numbers.below(choice.len())];
        let mut then = world.model.clone();
        then.act(action);
        // Actions that change nothing are tried only now and then.
        if then.key() == world.model.key() && numbers.below(5) > 0 {
            continue;
        }
        history.push(action);
        all.steps += 1;
        world.perform(action).await?;
        world.check().await?;
    }
    world.wind_up().await?;
    all.histories += 1;
    all.losses += world.model.losses;
    Ok(world.model.now)
}

/// Pseudo-random numbers that are the same each time: xorshift64*.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::execution::status::BatchStatus;

    use super::*;

    /// All statuses except UNKNOWN, which no worker saves.
    #[test]
    fn histories_come_to_every_status() {
        let mut found: Vec<BatchStatus> = Vec::new();
        for (_, beginning) in beginnings() {
            let map = Map::new(&beginning, 3);
            found.extend(map.places.iter().flat_map(|place| &place.model.executions).map(|one| one.status));
        }
        for status in BatchStatus::ALL {
            assert!(status == Unknown || found.contains(&status), "{status}");
        }
    }
}
