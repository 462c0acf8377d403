//! A tasklet that waits in one call of the host, which `call` names, as long as it can.
//!
//! `silent` is a server that reads nothing, `hangs` one that never answers, `stalls` one that begins a body and never
//! continues.

use std::io::{Read, Write};

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, http, log};
use wasi::clocks::monotonic_clock::subscribe_duration;
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasi::io::poll::poll;
use wasi::io::streams::{InputStream, OutputStream};

struct WaitsInCalls;

#[derive(Deserialize)]
struct Parameters {
    call: String,
    silent: String,
    hangs: String,
    stalls: String,
}

/// An hour in nanoseconds.
const HOUR: u64 = 3_600_000_000_000;
/// More pieces than any connection to a server holds.
const PIECES: usize = 100_000;

impl Tasklet for WaitsInCalls {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let Parameters { call, silent, hangs, stalls } = parameters;
        log::info("waiting");
        let request = |url: &str| http::post(url).timeout_ms(u32::MAX);
        match call.as_str() {
            "http.send" => drop(request(&hangs).send()?),
            "exchange.write" => {
                let mut exchange = request(&silent).start()?;
                for _ in 0..PIECES {
                    exchange.write_all(&[b'x'; 1 << 16])?;
                }
            }
            "exchange.finish" => drop(request(&hangs).start()?.finish()?),
            "response.read" => {
                request(&stalls).send()?.read_to_end(&mut Vec::new())?;
            }
            "poll" => drop(poll(&[&subscribe_duration(HOUR), &subscribe_duration(HOUR)])),
            "pollable.block" => subscribe_duration(HOUR).block(),
            "future.block" => Outgoing::to(&hangs).end_and_wait(),
            "input-stream.blocking-read" => read_by(&stalls, |body| body.blocking_read(4096).is_ok()),
            "input-stream.blocking-skip" => read_by(&stalls, |body| body.blocking_skip(4096).is_ok()),
            "output-stream.blocking-write-and-flush" => {
                write_by(&silent, |body| body.blocking_write_and_flush(&[b'x'; 4096]).is_ok());
            }
            "output-stream.blocking-write-zeroes-and-flush" => {
                write_by(&silent, |body| body.blocking_write_zeroes_and_flush(4096).is_ok());
            }
            "output-stream.blocking-flush" => write_by(&silent, |body| {
                let room = body.check_write().unwrap_or_default().min(1 << 16);
                body.write(&vec![b'x'; room as usize]).is_ok() && body.blocking_flush().is_ok()
            }),
            "output-stream.blocking-splice" => {
                let from = Outgoing::to(&stalls).answer();
                write_by(&silent, |body| body.blocking_splice(&from.1, 4096).is_ok());
            }
            other => return Err(StepError::new("no-such-call", other)),
        }
        Ok(Exit::Completed)
    }
}

/// Reads the body of an answer until it ends.
fn read_by(url: &str, read: impl Fn(&InputStream) -> bool) {
    let (_body, stream) = Outgoing::to(url).answer();
    while read(&stream) {}
}

/// Writes the body of a request for as long as the host accepts it.
fn write_by(url: &str, write: impl Fn(&OutputStream) -> bool) {
    let outgoing = Outgoing::to(url);
    let stream = outgoing.body.write().expect("the first stream of a body");
    for _ in 0..PIECES {
        if !write(&stream) {
            break;
        }
    }
}

/// A request in progress.
struct Outgoing {
    body: OutgoingBody,
    answer: outgoing_handler::FutureIncomingResponse,
}

impl Outgoing {
    fn to(url: &str) -> Self {
        let authority = url.trim_start_matches("http://").trim_end_matches('/');
        let request = OutgoingRequest::new(Fields::new());
        request.set_method(&Method::Post).expect("a method");
        request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
        request.set_authority(Some(authority)).expect("an authority");
        request.set_path_with_query(Some("/")).expect("a path");
        let body = request.body().expect("the first body of a request");
        let answer = outgoing_handler::handle(request, None).expect("it is granted");
        Self { body, answer }
    }

    /// Ends the body and waits for the answer.
    fn end_and_wait(self) {
        OutgoingBody::finish(self.body, None).expect("a body without a length");
        self.answer.subscribe().block();
    }

    /// The body of the answer.
    fn answer(self) -> (IncomingBody, InputStream) {
        OutgoingBody::finish(self.body, None).expect("a body without a length");
        self.answer.subscribe().block();
        let answer = self.answer.get().expect("it is there").expect("the first look").expect("an answer");
        let body = answer.consume().expect("the first body of an answer");
        let stream = body.stream().expect("the first stream of a body");
        (body, stream)
    }
}

stepbox_step::export_tasklet!(WaitsInCalls);
