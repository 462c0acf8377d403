//! `wasi:http/types`: data that wasmtime's own implementation keeps for a component, charged to its memory.
//!
//! Each item is charged at once with the most that it can ever hold, so nothing must be counted when it
//! grows. Texts are judged before they are kept.

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, Duration, ErrorCode, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingRequest,
    IncomingResponse, IoError, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions,
    ResponseOutparam, Scheme, StatusCode,
};
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult, HttpError, HttpResult};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView};

use super::held::{FIELDS, Held, MESSAGE};
use crate::lengths::{AUTHORITY, HTTP_METHOD, HTTP_SCHEME, PATH_WITH_QUERY};
use crate::memory::OutOfMemory;
use crate::state::StepState;

/// `wasi:http`, for one call.
pub(crate) struct HttpResources<'a> {
    wasi: WasiHttpCtxView<'a>,
    held: &'a mut Held,
}

/// Gives the linker access to the resources.
pub(crate) struct HasHttp;

impl HasData for HasHttp {
    type Data<'a> = HttpResources<'a>;
}

impl StepState {
    pub(crate) fn http_resources(&mut self) -> HttpResources<'_> {
        self.host_calls += 1;
        HttpResources {
            wasi: WasiHttpCtxView {
                ctx: &mut self.wasi_http,
                table: &mut self.table,
                hooks: &mut self.http_door,
            },
            held: &mut self.http_held,
        }
    }
}

impl<'a> HttpResources<'a> {
    /// Makes an item that is kept, if there is memory for it.
    fn keep<T, E>(
        &mut self,
        bytes: u64,
        no_memory: impl FnOnce(OutOfMemory) -> E,
        make: impl FnOnce(&mut WasiHttpCtxView<'a>) -> Result<Resource<T>, E>,
    ) -> Result<Resource<T>, E>
    where
        T: 'static,
    {
        let charge = self.held.account.charge(bytes).map_err(no_memory)?;
        let made = make(&mut self.wasi)?;
        self.held.charges.insert(made.rep(), charge);
        Ok(made)
    }

    fn let_go(&mut self, rep: u32) {
        self.held.charges.remove(&rep);
    }
}

/// Passes on calls that keep nothing.
macro_rules! pass_on {
    ($interface:ident: $(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, $($argument: $type),*) -> $result {
            types::$interface::$name(&mut self.wasi, $($argument),*)
        })*
    };
}

/// Dropping a resource gives its memory back.
macro_rules! drops {
    ($interface:ident: $type:ty) => {
        fn drop(&mut self, thing: Resource<$type>) -> wasmtime::Result<()> {
            self.let_go(thing.rep());
            types::$interface::drop(&mut self.wasi, thing)
        }
    };
}

impl outgoing_handler::Host for HttpResources<'_> {
    /// From here on the request is charged by the code that sends it.
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> HttpResult<Resource<FutureIncomingResponse>> {
        self.let_go(request.rep());
        outgoing_handler::Host::handle(&mut self.wasi, request, options)
    }
}

impl types::Host for HttpResources<'_> {
    pass_on! { Host:
        fn convert_error_code(error: HttpError) -> wasmtime::Result<ErrorCode>;
        fn convert_header_error(error: HeaderError) -> wasmtime::Result<types::HeaderError>;
        fn http_error_code(error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>>;
    }
}

impl types::HostFields for HttpResources<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<FieldMap>> {
        self.keep(FIELDS, wasmtime::Error::from, types::HostFields::new)
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<FieldMap>> {
        self.keep(FIELDS, HeaderError::trap, |wasi| types::HostFields::from_list(wasi, entries))
    }

    fn clone(&mut self, fields: Resource<FieldMap>) -> wasmtime::Result<Resource<FieldMap>> {
        self.keep(FIELDS, wasmtime::Error::from, |wasi| types::HostFields::clone(wasi, fields))
    }

    drops! { HostFields: FieldMap }
    pass_on! { HostFields:
        fn get(fields: Resource<FieldMap>, name: String) -> wasmtime::Result<Vec<Vec<u8>>>;
        fn has(fields: Resource<FieldMap>, name: String) -> wasmtime::Result<bool>;
        fn set(fields: Resource<FieldMap>, name: String, values: Vec<Vec<u8>>) -> HeaderResult<()>;
        fn delete(fields: Resource<FieldMap>, name: String) -> HeaderResult<()>;
        fn append(fields: Resource<FieldMap>, name: String, value: Vec<u8>) -> HeaderResult<()>;
        fn entries(fields: Resource<FieldMap>) -> wasmtime::Result<Vec<(String, Vec<u8>)>>;
    }
}

/// A step gets no requests, so these never exist.
impl types::HostIncomingRequest for HttpResources<'_> {
    drops! { HostIncomingRequest: IncomingRequest }
    pass_on! { HostIncomingRequest:
        fn method(request: Resource<IncomingRequest>) -> wasmtime::Result<Method>;
        fn path_with_query(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<String>>;
        fn scheme(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<Scheme>>;
        fn authority(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<String>>;
        fn headers(request: Resource<IncomingRequest>) -> wasmtime::Result<Resource<FieldMap>>;
        fn consume(request: Resource<IncomingRequest>) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>>;
    }
}

impl types::HostOutgoingRequest for HttpResources<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<OutgoingRequest>> {
        let fields = headers.rep();
        let make = |wasi: &mut WasiHttpCtxView<'_>| types::HostOutgoingRequest::new(wasi, headers);
        let request = self.keep(MESSAGE, wasmtime::Error::from, make)?;
        // The new request may have got the number of the headers.
        if request.rep() != fields {
            self.let_go(fields);
        }
        Ok(request)
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Resource<FieldMap>> {
        self.keep(FIELDS, wasmtime::Error::from, |wasi| types::HostOutgoingRequest::headers(wasi, request))
    }

    fn set_method(
        &mut self,
        request: Resource<OutgoingRequest>,
        method: Method,
    ) -> wasmtime::Result<Result<(), ()>> {
        match &method {
            Method::Other(text) if !HTTP_METHOD.takes(text) => Ok(Err(())),
            _ => types::HostOutgoingRequest::set_method(&mut self.wasi, request, method),
        }
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        path: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        match &path {
            Some(text) if !PATH_WITH_QUERY.takes(text) => Ok(Err(())),
            _ => types::HostOutgoingRequest::set_path_with_query(&mut self.wasi, request, path),
        }
    }

    fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> wasmtime::Result<Result<(), ()>> {
        match &scheme {
            Some(Scheme::Other(text)) if !HTTP_SCHEME.takes(text) => Ok(Err(())),
            _ => types::HostOutgoingRequest::set_scheme(&mut self.wasi, request, scheme),
        }
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        authority: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        match &authority {
            Some(text) if !AUTHORITY.takes(text) => Ok(Err(())),
            _ => types::HostOutgoingRequest::set_authority(&mut self.wasi, request, authority),
        }
    }

    drops! { HostOutgoingRequest: OutgoingRequest }
    pass_on! { HostOutgoingRequest:
        fn body(request: Resource<OutgoingRequest>) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>>;
        fn method(request: Resource<OutgoingRequest>) -> wasmtime::Result<Method>;
        fn path_with_query(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>>;
        fn scheme(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>>;
        fn authority(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>>;
    }
}

/// No client waits for an answer of a step, so these never exist.
impl types::HostResponseOutparam for HttpResources<'_> {
    drops! { HostResponseOutparam: ResponseOutparam }
    pass_on! { HostResponseOutparam:
        fn set(
            place: Resource<ResponseOutparam>,
            answer: Result<Resource<OutgoingResponse>, ErrorCode>
        ) -> wasmtime::Result<()>;
        fn send_informational(
            place: Resource<ResponseOutparam>,
            status: u16,
            headers: Resource<FieldMap>
        ) -> HttpResult<()>;
    }
}

/// The received bytes are charged where they are received. Its headers are copied here.
impl types::HostIncomingResponse for HttpResources<'_> {
    fn headers(&mut self, answer: Resource<IncomingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        self.keep(FIELDS, wasmtime::Error::from, |wasi| types::HostIncomingResponse::headers(wasi, answer))
    }

    drops! { HostIncomingResponse: IncomingResponse }
    pass_on! { HostIncomingResponse:
        fn status(answer: Resource<IncomingResponse>) -> wasmtime::Result<StatusCode>;
        fn consume(answer: Resource<IncomingResponse>) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>>;
    }
}

type Trailers = Option<Result<Result<Option<Resource<FieldMap>>, ErrorCode>, ()>>;

impl types::HostFutureTrailers for HttpResources<'_> {
    fn get(&mut self, trailers: Resource<FutureTrailers>) -> wasmtime::Result<Trailers> {
        let charge = self.held.account.charge(FIELDS)?;
        let got = types::HostFutureTrailers::get(&mut self.wasi, trailers)?;
        if let Some(Ok(Ok(Some(fields)))) = &got {
            self.held.charges.insert(fields.rep(), charge);
        }
        Ok(got)
    }

    drops! { HostFutureTrailers: FutureTrailers }
    pass_on! { HostFutureTrailers:
        fn subscribe(trailers: Resource<FutureTrailers>) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

impl types::HostIncomingBody for HttpResources<'_> {
    drops! { HostIncomingBody: IncomingBody }
    pass_on! { HostIncomingBody:
        fn stream(body: Resource<IncomingBody>) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>>;
        fn finish(body: Resource<IncomingBody>) -> wasmtime::Result<Resource<FutureTrailers>>;
    }
}

/// A component can make an answer of its own, but cannot send it.
impl types::HostOutgoingResponse for HttpResources<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<OutgoingResponse>> {
        let fields = headers.rep();
        let make = |wasi: &mut WasiHttpCtxView<'_>| types::HostOutgoingResponse::new(wasi, headers);
        let answer = self.keep(MESSAGE, wasmtime::Error::from, make)?;
        if answer.rep() != fields {
            self.let_go(fields);
        }
        Ok(answer)
    }

    fn headers(&mut self, answer: Resource<OutgoingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        self.keep(FIELDS, wasmtime::Error::from, |wasi| types::HostOutgoingResponse::headers(wasi, answer))
    }

    drops! { HostOutgoingResponse: OutgoingResponse }
    pass_on! { HostOutgoingResponse:
        fn body(answer: Resource<OutgoingResponse>) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>>;
        fn status_code(answer: Resource<OutgoingResponse>) -> wasmtime::Result<StatusCode>;
        fn set_status_code(
            answer: Resource<OutgoingResponse>,
            status: StatusCode
        ) -> wasmtime::Result<Result<(), ()>>;
    }
}

type Answer = Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>;

impl types::HostFutureIncomingResponse for HttpResources<'_> {
    /// The headers of a received answer may be larger than those that a step makes.
    fn get(&mut self, answer: Resource<FutureIncomingResponse>) -> wasmtime::Result<Answer> {
        let charge = self.held.account.charge(2 * FIELDS)?;
        let got = types::HostFutureIncomingResponse::get(&mut self.wasi, answer)?;
        if let Some(Ok(Ok(answer))) = &got {
            self.held.charges.insert(answer.rep(), charge);
        }
        Ok(got)
    }

    drops! { HostFutureIncomingResponse: FutureIncomingResponse }
    pass_on! { HostFutureIncomingResponse:
        fn subscribe(answer: Resource<FutureIncomingResponse>) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

/// The written bytes are charged with the request.
impl types::HostOutgoingBody for HttpResources<'_> {
    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<FieldMap>>,
    ) -> HttpResult<()> {
        if let Some(trailers) = &trailers {
            self.let_go(trailers.rep());
        }
        types::HostOutgoingBody::finish(&mut self.wasi, body, trailers)
    }

    drops! { HostOutgoingBody: OutgoingBody }
    pass_on! { HostOutgoingBody:
        fn write(body: Resource<OutgoingBody>) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>>;
    }
}

impl types::HostRequestOptions for HttpResources<'_> {
    drops! { HostRequestOptions: RequestOptions }
    pass_on! { HostRequestOptions:
        fn new() -> wasmtime::Result<Resource<RequestOptions>>;
        fn connect_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_connect_timeout(
            options: Resource<RequestOptions>,
            duration: Option<Duration>
        ) -> wasmtime::Result<Result<(), ()>>;
        fn first_byte_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_first_byte_timeout(
            options: Resource<RequestOptions>,
            duration: Option<Duration>
        ) -> wasmtime::Result<Result<(), ()>>;
        fn between_bytes_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_between_bytes_timeout(
            options: Resource<RequestOptions>,
            duration: Option<Duration>
        ) -> wasmtime::Result<Result<(), ()>>;
    }
}
