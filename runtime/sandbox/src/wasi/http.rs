//! `wasi:http/outgoing-handler`: the same egress as the contract's own `http`.

use std::error::Error as StdError;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use stepbox_batch::log::LogLevel;
use url::Url;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::console::Journal;
use crate::egress::{Egress, EgressError, Timeouts, is_forbidden_header};

/// Sends what a component wants to send through WASI.
#[derive(Debug)]
pub(crate) struct HttpDoor {
    egress: Arc<Egress>,
    journal: Journal,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = Result<(http::Response<WasiBody>, Io), Error>;

impl HttpDoor {
    pub(crate) fn new(egress: Arc<Egress>, journal: Journal) -> Self {
        Self { egress, journal }
    }
}

impl WasiHttpHooks for HttpDoor {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden_header)
    }

    /// The client does, from the URL that was checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let (egress, journal) = (self.egress.clone(), self.journal.clone());
        Box::new(async move {
            match send(&egress, request, options.unwrap_or_default()).await {
                Ok(answer) => {
                    let answer = answer.map(|body| body.map_err(told).boxed_unsync());
                    Ok((answer, Box::new(async { Ok(()) }) as Io))
                }
                Err(error) => {
                    // WASI's errors have no room for the line that would help.
                    journal.log(LogLevel::Warning, &error.to_string());
                    Err(told(error))
                }
            }
        })
    }
}

async fn send(
    egress: &Egress,
    request: http::Request<WasiBody>,
    options: RequestOptions,
) -> Result<http::Response<crate::egress::AnswerBody>, EgressError> {
    let url = Url::parse(&request.uri().to_string())
        .map_err(|error| EgressError::BadRequest(format!("`{}` is no URL: {error}", request.uri())))?;
    egress.check(request.method(), &url)?;
    let bytes_max = usize::try_from(egress.body_bytes_max).unwrap_or(usize::MAX);
    let request = request.map(|body| Limited::new(body.map_err(boxed), bytes_max).boxed_unsync());
    egress.send(request, &url, timeouts(options)).await
}

fn boxed(error: Error) -> Box<dyn StdError + Send + Sync> {
    error.into()
}

/// What the component asks for, or the default. The time of its call ends both.
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
        EgressError::NotGranted { .. } | EgressError::NotInPolicy { .. } => Error::HttpRequestDenied,
        EgressError::Forbidden { .. } => Error::DestinationIpProhibited,
        EgressError::BadRequest(_) => Error::HttpRequestUriInvalid,
        EgressError::Unreachable(_) => Error::DestinationUnavailable,
        EgressError::TimedOut(_) => Error::HttpResponseTimeout,
        EgressError::OverLimit(text) => Error::InternalError(Some(text)),
    }
}
