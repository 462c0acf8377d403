//! A tasklet that makes the host keep things for it, and releases none: `what` is `listings` of the folder `/many`,
//! `heads` of requests to `url`, `pieces` of bodies that the server does not read, or `bodies` that are never sent.
//!
//! The summary's `kept` shows how many it got before it was refused, at most `enough`.

use std::io::Write;
use std::mem::forget;

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, http};
use wasi::filesystem::preopens::get_directories;
use wasi::http::types::{Fields, OutgoingRequest};

struct HoardsInTheHost;

#[derive(Deserialize)]
struct Parameters {
    what: What,
    url: String,
    enough: u32,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum What {
    Listings,
    Heads,
    Pieces,
    Bodies,
}

impl Tasklet for HoardsInTheHost {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let Parameters { what, url, enough } = parameters;
        for _ in 0..enough {
            let is_kept = match what {
                What::Listings => keep_a_listing(),
                What::Heads => keep_a_head(&url),
                What::Pieces => keep_a_piece(&url),
                What::Bodies => keep_a_body(),
            };
            if !is_kept {
                break;
            }
            execution::increment_summary("kept", 1);
        }
        Ok(Exit::Completed)
    }
}

fn keep_a_listing() -> bool {
    let many = get_directories().into_iter().find(|(_, path)| path == "/many");
    let Some(listing) = many.and_then(|(folder, _)| folder.read_directory().ok()) else { return false };
    let has_begun = listing.read_directory_entry().is_ok();
    forget(listing);
    has_begun
}

fn keep_a_head(url: &str) -> bool {
    let head = "v".repeat(60_000);
    http::post(url).header("x", &head).start().map(forget).is_ok()
}

/// The server does not read, so the host has the bytes that do not fit into the connection. A second piece would wait
/// for that.
fn keep_a_piece(url: &str) -> bool {
    let Ok(mut exchange) = http::post(url).timeout_ms(u32::MAX).start() else { return false };
    let is_kept = exchange.write(&vec![b'x'; 1 << 20]).is_ok();
    forget(exchange);
    is_kept
}

fn keep_a_body() -> bool {
    let request = OutgoingRequest::new(Fields::new());
    let Ok(body) = request.body() else { return false };
    let Ok(stream) = body.write() else { return false };
    let mut kept = 0;
    while let Ok(room) = stream.check_write() {
        let room = room.min(64 << 10) as usize;
        if room == 0 || stream.write(&vec![b'x'; room]).is_err() {
            break;
        }
        kept += room;
    }
    forget((stream, body, request));
    kept > 0
}

stepbox_step::export_tasklet!(HoardsInTheHost);
