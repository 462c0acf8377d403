//! Decides which execution begins next. A function from values to values: every store calls it, so all stores
//! decide alike.

use std::collections::VecDeque;

/// A tenant with executions that wait.
#[derive(Debug, Clone)]
pub struct Contender {
    /// How many of its executions run.
    pub running: u64,
    /// How many of its executions may run.
    pub running_max: u64,
    /// When it was served last, as a number that grows; 0 if never.
    pub served: i64,
    /// Its executions that wait.
    pub lanes: Vec<Lane>,
}

/// Entries that begin under the same conditions.
#[derive(Debug, Clone)]
pub struct Lane {
    /// How many entries of this lane may begin now; `None` sets no limit.
    pub room: Option<u64>,
    /// The first entries, in their order.
    pub heads: VecDeque<Head>,
}

/// An entry that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The execution, as a number of the store.
    pub id: i64,
    /// Higher ones go first.
    pub priority: i64,
    /// Its age: the smaller, the older.
    pub turn: i64,
}

impl Contender {
    fn may_begin(&self) -> bool {
        self.running < self.running_max && self.lanes.iter().any(Lane::may_begin)
    }

    /// Takes the entry with the highest priority, the oldest one among equals.
    fn take(&mut self) -> Option<i64> {
        let open = self.lanes.iter_mut().filter(|lane| lane.may_begin());
        let lane = open.min_by_key(|lane| lane.heads.front().map(Head::order))?;
        let head = lane.heads.pop_front()?;
        lane.room = lane.room.map(|room| room.saturating_sub(1));
        self.running += 1;
        Some(head.id)
    }
}

impl Lane {
    fn may_begin(&self) -> bool {
        self.room != Some(0) && !self.heads.is_empty()
    }
}

impl Head {
    fn order(&self) -> (i64, i64, i64) {
        (-self.priority, self.turn, self.id)
    }
}

/// Chooses at most `limit` entries.
///
/// Each time the tenant with the fewest running executions is served; among equals, the tenant that was served
/// longest ago. Returns the index of the tenant and the entry, in the order of the choice.
pub fn choose(mut contenders: Vec<Contender>, limit: usize) -> Vec<(usize, i64)> {
    let mut last_served = contenders.iter().map(|contender| contender.served).max().unwrap_or(0);
    let mut chosen = Vec::new();
    while chosen.len() < limit {
        let open = contenders.iter_mut().enumerate().filter(|(_, contender)| contender.may_begin());
        let next = open.min_by_key(|(index, contender)| (contender.running, contender.served, *index));
        let Some((index, contender)) = next else { break };
        let Some(id) = contender.take() else { break };
        last_served += 1;
        contender.served = last_served;
        chosen.push((index, id));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane of entries, each with its priority. Their ids are their ages.
    fn lane(room: Option<u64>, entries: &[(i64, i64)]) -> Lane {
        let heads = entries.iter().map(|&(id, priority)| Head { id, priority, turn: id }).collect();
        Lane { room, heads }
    }

    fn contender(running: u64, served: i64, lanes: Vec<Lane>) -> Contender {
        Contender { running, running_max: 10, served, lanes }
    }

    fn ids(contenders: Vec<Contender>, limit: usize) -> Vec<i64> {
        choose(contenders, limit).into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn within_a_tenant_the_priority_goes_first_then_the_age() {
        let lanes = || vec![lane(None, &[(4, 9), (1, 0), (3, 0)]), lane(None, &[(2, 0), (5, -1)])];
        assert_eq!(ids(vec![contender(0, 0, lanes())], 9), [4, 1, 2, 3, 5]);
        assert_eq!(ids(vec![contender(0, 0, lanes())], 2), [4, 1], "no more than asked for");
    }

    #[test]
    fn between_tenants_the_fewest_running_go_first_then_who_waited_longest() {
        let many = || vec![lane(None, &[(1, 0), (2, 0), (3, 0), (4, 0)])];
        let few = || vec![lane(None, &[(11, 0), (12, 0)])];
        assert_eq!(ids(vec![contender(0, 5, many()), contender(0, 4, few())], 6), [11, 1, 12, 2, 3, 4]);
        assert_eq!(ids(vec![contender(2, 0, many()), contender(0, 9, few())], 3), [11, 12, 1]);
        assert_eq!(ids(vec![contender(0, 9, many()), contender(3, 0, few())], 4), [1, 2, 3, 11]);
    }

    #[test]
    fn a_full_lane_and_a_full_tenant_are_passed_by() {
        let lanes = vec![lane(Some(0), &[(1, 9)]), lane(Some(1), &[(2, 5), (3, 5)]), lane(None, &[(4, 0)])];
        assert_eq!(ids(vec![contender(0, 0, lanes)], 9), [2, 4]);
        let full = Contender { running_max: 1, ..contender(1, 0, vec![lane(None, &[(5, 0)])]) };
        let nearly = Contender { running_max: 2, ..contender(1, 0, vec![lane(None, &[(6, 0), (7, 0)])]) };
        assert_eq!(ids(vec![full, nearly], 9), [6]);
        assert_eq!(ids(Vec::new(), 9), [0; 0]);
    }
}
