//! The table of routes: the method, the address and the handler of each, and what each says of itself.
//!
//! A route comes into being only with an [`Entry`], so there is none without a decision on who may use it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter};
use serde_json::Value;
use tokio::time::timeout;

use crate::access::{Doors, Entry};
use crate::conventions::answer::Answer;
use crate::conventions::asking::{Asking, Who};
use crate::conventions::describing::Describing;
use crate::conventions::failure::{Failure, not_this_method};
use crate::conventions::input::{Input, refuse_unread};
use crate::conventions::request_log::Template;
use crate::tools::Tools;

/// How long reading may take. A change is never given up in the middle.
const READING_MAX: Duration = Duration::from_secs(60);

/// The state of all routes. Only this module takes it apart.
#[derive(Clone)]
pub(crate) struct App {
    doors: Doors,
    tools: std::sync::Arc<Tools>,
}

impl App {
    pub(crate) fn new(doors: Doors, tools: std::sync::Arc<Tools>) -> Self {
        Self { doors, tools }
    }

    /// A way into the page around an answer that has failed: the same doors as of a route.
    pub(crate) async fn opened<D: Entry>(&self, request: Request) -> Result<D, Failure> {
        let mut asking = Asking::new(self.tools.clone(), request).await?;
        D::open(&self.doors, &mut asking).await
    }

    /// The path before all pages; may be empty.
    pub(crate) fn base_path(&self) -> &str {
        self.tools.base_path()
    }
}

/// An operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) document: Value,
    pub(crate) schemas: BTreeMap<String, Value>,
}

/// The routes, as they are gathered.
#[derive(Default)]
pub(crate) struct Table {
    routes: BTreeMap<&'static str, (MethodRouter<App>, Vec<&'static str>)>,
    operations: Vec<Operation>,
}

macro_rules! methods {
    ($($name:ident $method:ident)+) => {$(
        pub(crate) fn $name<D, I, A, F, Fut>(self, path: &'static str, summary: &str, handler: F) -> Self
        where
            D: Entry,
            I: Input,
            A: Answer,
            F: Fn(D, I) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<A, Failure>> + Send + 'static,
        {
            self.add(Method::$method, MethodFilter::$method, path, summary, handler)
        }
    )+};
}

impl Table {
    methods! { get GET post POST put PUT patch PATCH delete DELETE }

    fn add<D, I, A, F, Fut>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        summary: &str,
        handler: F,
    ) -> Self
    where
        D: Entry,
        I: Input,
        A: Answer,
        F: Fn(D, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        let mut operation = Describing::default();
        operation.path(path);
        D::describe(&mut operation);
        I::describe(&mut operation);
        A::describe(&mut operation);
        let (id, tag) = names::<F>();
        let (document, schemas) = operation.finish(method != Method::GET, &id, summary, &tag);
        self.operations.push(Operation { method: method.clone(), path, document, schemas });
        let answered = move |State(app): State<App>, request: Request| {
            let handler = handler.clone();
            async move { answered(app, path, request, handler).await }
        };
        let (router, methods) = self.routes.remove(path).unwrap_or_default();
        let methods = methods.into_iter().chain(name_of(&method)).collect();
        self.routes.insert(path, (router.on(filter, answered), methods));
        self
    }

    /// The operations, for the document.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The router of all routes.
    pub(crate) fn into_router(self) -> Router<App> {
        self.routes.into_iter().fold(Router::new(), |router, (path, (routes, methods))| {
            let allowed = methods.join(", ");
            let refused = move || {
                let mut response = not_this_method(&allowed).into_response();
                response.extensions_mut().insert(Template(path));
                std::future::ready(response)
            };
            router.route(path, routes.fallback(refused))
        })
    }
}

/// The method as `Allow` names it: a client that may GET may ask for the head alone.
fn name_of(method: &Method) -> Vec<&'static str> {
    match method.as_str() {
        "GET" => vec!["GET", "HEAD"],
        "POST" => vec!["POST"],
        "PUT" => vec!["PUT"],
        "PATCH" => vec!["PATCH"],
        _ => vec!["DELETE"],
    }
}

/// The id of an operation and its noun, from the path of its handler: `…::routes::instances::list`.
fn names<F>() -> (String, String) {
    let mut parts = std::any::type_name::<F>().rsplit("::");
    let (verb, noun) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (format!("{noun}_{verb}"), noun.to_owned())
}

/// Answers a request: who asks and what they may do, then what they send, then the handler.
async fn answered<D, I, A, F, Fut>(app: App, path: &'static str, request: Request, handler: F) -> Response
where
    D: Entry,
    I: Input,
    A: Answer,
    F: Fn(D, I) -> Fut,
    Fut: Future<Output = Result<A, Failure>> + Send + 'static,
{
    let mut who = None;
    let answer = async {
        let mut asking = Asking::new(app.tools.clone(), request).await?;
        let opened = D::open(&app.doors, &mut asking).await;
        who = asking.who.clone();
        let opened = opened?;
        refuse_unread::<I>(&asking)?;
        let input = I::read(&mut asking).await?;
        let headers = asking.headers().clone();
        let is_reading = asking.parts.method == Method::GET || asking.parts.method == Method::HEAD;
        let given = handler(opened, input);
        let given = match is_reading {
            true => timeout(READING_MAX, given).await.map_err(|_| too_slow())??,
            // A client that goes away does not stop a change half-way.
            false => match tokio::spawn(given).await {
                Ok(given) => given?,
                Err(error) => return Err(Failure::unexpected(format!("a route broke off: {error}"))),
            },
        };
        given.answer(&headers).await
    };
    let mut response = answer.await.unwrap_or_else(|failure: Failure| failure.into_response());
    response.extensions_mut().insert(Template(path));
    if let Some(who) = who {
        response.extensions_mut().insert(Who(who));
    }
    response
}

fn too_slow() -> Failure {
    Failure::new(stepbox::ErrorKind::StoreUnavailable, "too-slow", "the answer took too long")
}
