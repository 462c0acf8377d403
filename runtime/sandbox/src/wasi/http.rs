//! `wasi:http/outgoing-handler`: the same egress as the contract's own `http`.

mod held;
mod resources;

use std::error::Error as StdError;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use stepbox_batch::log::LogLevel;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use self::held::{CHUNK_BYTES_MAX, CHUNKS_MAX, UNSENT};
pub(crate) use self::held::{FIELDS_BYTES_MAX, Held};
pub(crate) use self::resources::HasHttp;
use crate::budget::{Handle, Handles};
use crate::console::Journal;
use crate::egress::{Egress, EgressError, RequestBody, Timeouts, is_forbidden_header, url};

/// Sends a component's requests that come through WASI.
#[derive(Debug)]
pub(crate) struct HttpDoor {
    egress: Arc<Egress>,
    handles: Handles,
    journal: Journal,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = Result<(http::Response<WasiBody>, Io), Error>;

impl HttpDoor {
    pub(crate) fn new(egress: Arc<Egress>, handles: Handles, journal: Journal) -> Self {
        Self { egress, handles, journal }
    }
}

impl WasiHttpHooks for HttpDoor {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden_header)
    }

    /// The client sets the header, from the checked URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        CHUNKS_MAX
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let (egress, journal) = (self.egress.clone(), self.journal.clone());
        // Counted from now on, and not only from the first wait for the answer.
        let handle = self.handles.open_request();
        Box::new(async move {
            let answered = match handle {
                Ok(handle) => send(&egress, request, options.unwrap_or_default(), handle).await,
                Err(error) => Err(error.into()),
            };
            match answered {
                Ok(answer) => {
                    let answer = answer.map(|body| body.map_err(told).boxed_unsync());
                    Ok((answer, Box::new(async { Ok(()) }) as Io))
                }
                Err(error) => {
                    // WASI's errors have no text, so the line that would help goes into the log.
                    journal.log(LogLevel::Warning, &error.to_string());
                    let told = told(error);
                    if matches!(told, Error::HttpRequestDenied | Error::DestinationIpProhibited) {
                        journal.metering().refused_request();
                    }
                    Err(told)
                }
            }
        })
    }
}

async fn send(
    egress: &Egress,
    request: http::Request<WasiBody>,
    options: RequestOptions,
    handle: Handle,
) -> Result<http::Response<crate::egress::AnswerBody>, EgressError> {
    let url = url(&request.uri().to_string())?;
    let unsent = egress.check(request.method(), &url, request.headers())?.and(UNSENT)?;
    let bytes_max = usize::try_from(egress.body_bytes_max).unwrap_or(usize::MAX);
    let request = request
        .map(|body| RequestBody::Streamed(Limited::new(body.map_err(boxed), bytes_max).boxed_unsync()));
    let answer = egress.send(request, &url, timeouts(options), unsent).await?;
    Ok(answer.map(|body| body.held_by(handle)))
}

fn boxed(error: Error) -> Box<dyn StdError + Send + Sync> {
    error.into()
}

/// The timeouts that the component asks for, or the defaults. The time limit of its call ends both.
fn timeouts(options: RequestOptions) -> Timeouts {
    let default = Timeouts::default();
    let first_byte = options.first_byte_timeout.unwrap_or(default.head);
    Timeouts {
        head: options.connect_timeout.map_or(first_byte, |connect| connect.saturating_add(first_byte)),
        between_bytes: options.between_bytes_timeout.unwrap_or(default.between_bytes),
    }
}

/// The nearest of WASI's errors.
fn told(error: EgressError) -> Error {
    match error {
        EgressError::NotGranted { .. }
        | EgressError::NotInPolicy { .. }
        | EgressError::SecretRefused { .. } => Error::HttpRequestDenied,
        EgressError::Forbidden { .. } => Error::DestinationIpProhibited,
        EgressError::BadRequest(_) => Error::HttpRequestUriInvalid,
        EgressError::Unreachable(_) => Error::DestinationUnavailable,
        EgressError::TimedOut(_) => Error::HttpResponseTimeout,
        EgressError::OverLimit(text) => Error::InternalError(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http_body::{Body, Frame};
    use http_body_util::Empty;
    use stepbox_batch::log::NoLog;
    use tokio::net::TcpListener;
    use wasmtime::component::Resource;
    use wasmtime_wasi_http::p2::bindings::http::types::{
        HostFields, HostOutgoingBody, HostOutgoingRequest, Method, OutgoingRequest, Scheme,
    };

    use super::*;
    use crate::grants::Grants;
    use crate::limits::Limits;
    use crate::testing::{state_with, step_context};

    /// Begins a request. It is sent when the future is polled.
    fn begin(door: &mut HttpDoor, url: &str) -> Pin<Box<dyn Future<Output = Answered> + Send>> {
        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url).body(body).unwrap();
        Pin::from(door.send_request(request, None, Box::new(async { Ok(()) })))
    }

    /// An endless body that counts how often it was read.
    struct Endless(Arc<AtomicUsize>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
        }
    }

    /// The body of a refused request is dropped without being read.
    #[tokio::test]
    async fn the_body_of_a_refused_request_is_not_read() {
        let grants = Grants::none().with_http("POST http://10.0.0.1").unwrap();
        let state = state_with(&step_context(Arc::new(NoLog)), grants, Limits::default());
        let mut door = HttpDoor::new(state.egress.clone(), state.handles.clone(), state.journal.clone());
        for (method, url) in [
            ("POST", "http://ungranted.example/"),
            ("POST", "http://10.0.0.1/"),
            ("CONNECT", "http://10.0.0.1/"),
            ("POST", "ftp://10.0.0.1/"),
        ] {
            let asked = Arc::new(AtomicUsize::new(0));
            let request = http::Request::builder().method(method).uri(url);
            let request = request.body(Endless(asked.clone()).boxed_unsync()).unwrap();
            let sending = Pin::from(door.send_request(request, None, Box::new(async { Ok(()) })));
            assert!(sending.await.is_err(), "{method} {url}");
            let (asked, holders) = (asked.load(Ordering::Relaxed), Arc::strong_count(&asked));
            assert_eq!((asked, holders), (0, 1), "{method} {url}");
        }
    }

    #[tokio::test]
    async fn requests_under_way_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let grants = Grants::none().with_http(&format!("GET {url}")).unwrap();
        let limits = Limits { open_handles_max: 1, ..Limits::default() };
        let state = state_with(&step_context(Arc::new(NoLog)), grants, limits);
        let mut door = HttpDoor::new(state.egress.clone(), state.handles.clone(), state.journal.clone());
        let first = begin(&mut door, &url);
        match begin(&mut door, &url).await {
            Err(Error::InternalError(Some(text))) => {
                assert!(text.contains("`limits.open_handles_max`"), "{text}")
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was sent"),
        }
        drop(first);
        let mut third = begin(&mut door, &url);
        tokio::select! {
            taken = listener.accept() => { taken.unwrap(); }
            _ = &mut third => panic!("nobody answers"),
        }
    }

    /// Regression: requests that were never sent took gigabytes that were not counted.
    #[tokio::test]
    async fn what_is_not_sent_is_memory_of_the_step() {
        let limits = Limits { memory_bytes_max: 8 << 20, ..Limits::default() };
        let mut state = state_with(&step_context(Arc::new(NoLog)), Grants::none(), limits);
        let mut door = state.http_resources();
        let mut requests = Vec::new();
        let refused = loop {
            let made =
                HostFields::new(&mut door).and_then(|fields| HostOutgoingRequest::new(&mut door, fields));
            match made {
                Ok(request) => requests.push(request),
                Err(error) => break error.to_string(),
            }
        };
        assert!(refused.starts_with("out of memory: asked for"), "{refused}");
        assert!((5..20).contains(&requests.len()), "{}", requests.len());
        let first = Resource::<OutgoingRequest>::new_borrow(requests[0].rep());
        let body = HostOutgoingRequest::body(&mut door, first).unwrap().unwrap();
        let stream = HostOutgoingBody::write(&mut door, body).unwrap().unwrap();
        assert_eq!(state.table.get_mut(&stream).unwrap().check_write().unwrap(), CHUNK_BYTES_MAX);
        let mut door = state.http_resources();
        for request in requests {
            HostOutgoingRequest::drop(&mut door, request).unwrap();
        }
        for _ in 0..30 {
            HostFields::new(&mut door).unwrap();
        }
    }

    #[tokio::test]
    async fn texts_of_a_request_are_judged_before_they_are_kept() {
        let mut state = state_with(&step_context(Arc::new(NoLog)), Grants::none(), Limits::default());
        let mut door = state.http_resources();
        let fields = HostFields::new(&mut door).unwrap();
        let request = HostOutgoingRequest::new(&mut door, fields).unwrap();
        let request = || Resource::<OutgoingRequest>::new_borrow(request.rep());
        let text = |bytes: usize| "x".repeat(bytes);
        let mut path =
            |bytes| door.set_path_with_query(request(), Some(format!("/{}", text(bytes)))).unwrap();
        assert_eq!((path(64 << 10), path(1000)), (Err(()), Ok(())));
        let mut authority = |bytes| door.set_authority(request(), Some(text(bytes))).unwrap();
        assert_eq!((authority(1025), authority(1024)), (Err(()), Ok(())));
        let mut method = |bytes| door.set_method(request(), Method::Other(text(bytes))).unwrap();
        assert_eq!((method(65), method(64)), (Err(()), Ok(())));
        let mut scheme = |bytes| door.set_scheme(request(), Some(Scheme::Other(text(bytes)))).unwrap();
        assert_eq!((scheme(65), scheme(64)), (Err(()), Ok(())));
    }
}
