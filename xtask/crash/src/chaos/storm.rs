//! The disturbances of the workers, and of their server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use stepbox_tests::numbers::Numbers;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::Result;
use crate::fleet::Fleet;
use crate::installation::Installation;

/// The ways to restart the server, each once: `immediate` is like a crash.
const RESTARTS: [&str; 2] = ["fast", "immediate"];

/// A storm over a fleet.
pub(crate) struct Storm {
    numbers: Numbers,
    begun_at: Instant,
    duration: Duration,
    next_at: Instant,
    restarts: usize,
    restarting: Option<JoinHandle<anyhow::Result<()>>>,
    /// How often each disturbance happened.
    pub(crate) acts: BTreeMap<&'static str, u32>,
}

impl Storm {
    pub(crate) fn new(seed: u64, duration: Duration) -> Self {
        let begun_at = Instant::now();
        Self {
            numbers: Numbers::of_seed(seed),
            begun_at,
            duration,
            next_at: begun_at + Duration::from_secs(1),
            restarts: 0,
            restarting: None,
            acts: BTreeMap::new(),
        }
    }

    /// The share of the time that has passed: 1 is the end.
    pub(crate) fn part(&self) -> f64 {
        self.begun_at.elapsed().as_secs_f64() / self.duration.as_secs_f64().max(0.001)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.part() >= 1.0 && self.restarting.is_none()
    }

    /// Makes the disturbances that are due.
    pub(crate) async fn go_on(&mut self, at: &Installation, fleet: &mut Fleet<'_>) -> Result<()> {
        fleet.tend()?;
        self.restart_server(at).await?;
        if Instant::now() < self.next_at || self.part() >= 1.0 {
            return Ok(());
        }
        self.next_at = Instant::now() + Duration::from_millis(1000 + self.numbers.below(2000));
        let index = self.numbers.below(fleet.workers.len() as u64) as usize;
        let worker = &mut fleet.workers[index];
        let is_stopped = worker.stopped_until.is_some();
        let act = match self.numbers.below(100) {
            // A stopped process can react to nothing else.
            0..45 => "SIGKILL",
            _ if is_stopped || worker.is_leaving => return Ok(()),
            45..67 => "SIGSTOP",
            67..90 => "SIGTERM",
            _ => "SIGTERM twice",
        };
        match act {
            "SIGKILL" => fleet.kill(index)?,
            "SIGSTOP" => {
                let pause = Duration::from_millis(500 + self.numbers.below(24_500));
                worker.stopped_until = Some(Instant::now() + pause);
                fleet.signal(index, Signal::STOP)?;
            }
            _ => {
                worker.is_leaving = true;
                fleet.signal(index, Signal::TERM)?;
                if act == "SIGTERM twice" {
                    tokio::time::sleep(Duration::from_millis(self.numbers.below(300))).await;
                    // It may have ended at the first signal.
                    let _ = fleet.signal(index, Signal::TERM);
                }
            }
        }
        *self.acts.entry(act).or_default() += 1;
        Ok(())
    }

    /// After one third of the time, and after two thirds.
    async fn restart_server(&mut self, at: &Installation) -> Result<()> {
        let Some(server) = &at.server else { return Ok(()) };
        if let Some(restarting) = &mut self.restarting {
            if restarting.is_finished() {
                restarting.await??;
                self.restarting = None;
            }
            return Ok(());
        }
        let Some(mode) = RESTARTS.get(self.restarts) else { return Ok(()) };
        if self.part() * 3.0 < (self.restarts + 1) as f64 {
            return Ok(());
        }
        let (server, mode) = (server.clone(), *mode);
        self.restarting = Some(spawn_blocking(move || server.restart(mode)));
        self.restarts += 1;
        *self.acts.entry(if mode == "fast" { "server restarted" } else { "server crashed" }).or_default() +=
            1;
        Ok(())
    }
}
