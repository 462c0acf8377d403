//! Every route × everybody: no credentials, garbage, another tenant's, each role, each scope.
//!
//! The routes come from the document. A route without a row here fails, and so does a row without a route: whoever adds
//! a route says who may use it, apart from the code that decides.

use std::collections::BTreeMap;

use stepbox::batch::access::{Role, Scope};

use crate::openapi::document;
use crate::testing::Sample;

/// Who may use a route.
#[derive(Debug, Clone, Copy)]
enum For {
    /// Everybody.
    All,
    /// Everybody who is signed in.
    Signed,
    /// Those who signed in with a password: no token, and so nobody in this test.
    Session,
    /// Everybody in the tenant, for one's own things.
    Inside,
    /// The same, but only tokens that may administer.
    Own,
    /// Those in the tenant with this role or a stronger one; tokens with this scope.
    Role(Role, Scope),
    /// Operators of the installation, and tokens of theirs with this scope. No token of a tenant is one of theirs.
    Operators(Scope),
}

const ADMINISTRATOR: Role = Role::Administrator;
const AUTHOR: Role = Role::Author;
const OPERATOR: Role = Role::Operator;
const VIEWER: Role = Role::Viewer;

/// One row for each route.
const ROWS: &[(&str, For)] = &[
    ("GET /openapi.json", For::All),
    ("GET /reference", For::All),
    ("GET /live", For::All),
    ("GET /ready", For::All),
    ("GET /metrics", For::Operators(Scope::Operate)),
    ("GET /session", For::Signed),
    ("POST /session", For::All),
    ("DELETE /session", For::Session),
    ("POST /session/password", For::Signed),
    ("POST /one-time-links/{secret}", For::All),
    ("GET /users", For::Operators(Scope::Operate)),
    ("POST /users", For::Operators(Scope::Operate)),
    ("GET /users/{user}", For::Operators(Scope::Operate)),
    ("PATCH /users/{user}", For::Operators(Scope::Operate)),
    ("DELETE /users/{user}", For::Operators(Scope::Operate)),
    ("POST /users/{user}/link", For::Operators(Scope::Operate)),
    ("DELETE /users/{user}/sessions", For::Operators(Scope::Operate)),
    ("GET /tokens", For::Operators(Scope::Operate)),
    ("POST /tokens", For::Operators(Scope::Operate)),
    ("DELETE /tokens/{token}", For::Operators(Scope::Operate)),
    ("GET /audit", For::Operators(Scope::ReadAudit)),
    ("POST /audit/purge", For::Operators(Scope::Operate)),
    ("GET /tenants", For::Signed),
    ("GET /tenants/{tenant}/tokens", For::Own),
    ("POST /tenants/{tenant}/tokens", For::Inside),
    ("DELETE /tenants/{tenant}/tokens/{token}", For::Own),
    ("GET /tenants/{tenant}/members", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("PUT /tenants/{tenant}/members/{user}", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("DELETE /tenants/{tenant}/members/{user}", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("GET /tenants/{tenant}/instances/{code}/rights", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("PUT /tenants/{tenant}/instances/{code}/rights", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("GET /tenants/{tenant}", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/policy", For::Role(VIEWER, Scope::ReadExecutions)),
    ("POST /tenants/{tenant}/suspend", For::Operators(Scope::Operate)),
    ("POST /tenants/{tenant}/resume", For::Operators(Scope::Operate)),
    ("GET /tenants/{tenant}/connectors", For::Role(VIEWER, Scope::ReadConnectors)),
    ("POST /tenants/{tenant}/connectors", For::Role(AUTHOR, Scope::WriteConnectors)),
    ("POST /tenants/{tenant}/connector-preview", For::Role(AUTHOR, Scope::WriteConnectors)),
    ("GET /tenants/{tenant}/connectors/{code}", For::Role(VIEWER, Scope::ReadConnectors)),
    ("DELETE /tenants/{tenant}/connectors/{code}", For::Role(AUTHOR, Scope::WriteConnectors)),
    (
        "POST /tenants/{tenant}/connectors/{code}/jobs/{name}/form/describe",
        For::Role(AUTHOR, Scope::WriteInstances),
    ),
    ("GET /tenants/{tenant}/jobs", For::Role(VIEWER, Scope::ReadConnectors)),
    ("GET /tenants/{tenant}/jobs/{name}", For::Role(VIEWER, Scope::ReadConnectors)),
    ("GET /tenants/{tenant}/jobs/{name}/schema", For::Role(VIEWER, Scope::ReadConnectors)),
    ("GET /tenants/{tenant}/jobs/{name}/form", For::Role(VIEWER, Scope::ReadConnectors)),
    ("GET /tenants/{tenant}/steps", For::Role(VIEWER, Scope::ReadSteps)),
    ("POST /tenants/{tenant}/steps", For::Role(AUTHOR, Scope::WriteSteps)),
    ("POST /tenants/{tenant}/steps/inspect", For::Role(AUTHOR, Scope::WriteSteps)),
    ("GET /tenants/{tenant}/steps/{reference}", For::Role(VIEWER, Scope::ReadSteps)),
    ("DELETE /tenants/{tenant}/steps/{reference}", For::Role(AUTHOR, Scope::WriteSteps)),
    ("GET /tenants/{tenant}/files", For::Role(OPERATOR, Scope::ReadFiles)),
    ("POST /tenants/{tenant}/files", For::Role(OPERATOR, Scope::WriteFiles)),
    ("GET /tenants/{tenant}/files/{file}", For::Role(OPERATOR, Scope::ReadFiles)),
    ("DELETE /tenants/{tenant}/files/{file}", For::Role(OPERATOR, Scope::WriteFiles)),
    ("GET /tenants/{tenant}/instances", For::Role(VIEWER, Scope::ReadInstances)),
    ("POST /tenants/{tenant}/instances", For::Role(AUTHOR, Scope::WriteInstances)),
    ("GET /tenants/{tenant}/instances/{code}", For::Role(VIEWER, Scope::ReadInstances)),
    ("PATCH /tenants/{tenant}/instances/{code}", For::Role(AUTHOR, Scope::WriteInstances)),
    ("DELETE /tenants/{tenant}/instances/{code}", For::Role(AUTHOR, Scope::WriteInstances)),
    ("POST /tenants/{tenant}/instances/{code}/duplicate", For::Role(AUTHOR, Scope::WriteInstances)),
    ("GET /tenants/{tenant}/instances/{code}/history", For::Role(VIEWER, Scope::ReadInstances)),
    ("POST /tenants/{tenant}/instances/{code}/launch", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("GET /tenants/{tenant}/executions", For::Role(VIEWER, Scope::ReadExecutions)),
    ("POST /tenants/{tenant}/executions/purge", For::Role(ADMINISTRATOR, Scope::Administer)),
    ("POST /tenants/{tenant}/executions/bulk", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/archive", For::Role(VIEWER, Scope::ReadFiles)),
    ("GET /tenants/{tenant}/executions/{execution}", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/warnings", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/log", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/parts", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/rejected", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/rejected/{step}", For::Role(VIEWER, Scope::ReadFiles)),
    ("GET /tenants/{tenant}/executions/{execution}/events", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/events", For::Role(VIEWER, Scope::ReadExecutions)),
    ("POST /tenants/{tenant}/executions/{execution}/restart", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("POST /tenants/{tenant}/executions/{execution}/reimport", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("POST /tenants/{tenant}/executions/{execution}/stop", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("POST /tenants/{tenant}/executions/{execution}/pause", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("POST /tenants/{tenant}/executions/{execution}/resume", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("GET /tenants/{tenant}/executions/{execution}/files", For::Role(VIEWER, Scope::ReadFiles)),
    ("GET /tenants/{tenant}/executions/{execution}/files/{number}", For::Role(VIEWER, Scope::ReadFiles)),
    ("POST /tenants/{tenant}/executions/{execution}/abandon", For::Role(OPERATOR, Scope::LaunchExecutions)),
    ("GET /tenants/{tenant}/queue", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/workers", For::Role(VIEWER, Scope::ReadExecutions)),
    ("GET /tenants/{tenant}/audit", For::Role(ADMINISTRATOR, Scope::ReadAudit)),
    ("POST /tenants/{tenant}/audit/purge", For::Role(ADMINISTRATOR, Scope::Administer)),
];

/// What becomes of a request before anything of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// 401.
    Unknown,
    /// 403.
    Forbidden,
    /// 404 of a tenant or a thing that one may not see.
    Hidden,
    /// It is let in; a body or a header may be missing then.
    LetIn,
}

/// The routes of the document, as rows name them.
fn routes() -> Vec<String> {
    let document = document();
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}

/// A route with things that are there.
fn filled(path: &str, execution: u64) -> String {
    path.replace("{tenant}", "acme")
        .replace("/connectors/{code}", "/connectors/stepbox")
        .replace("{code}", "a")
        .replace("{name}", "csv_export")
        .replace("{execution}", &execution.to_string())
        .replace("{reference}", "missing")
        .replace("{step}", "missing")
        .replace("{number}", "999")
        .replace("{user}", "missing")
        .replace("{token}", "999")
        .replace("{secret}", "missing")
        .replace("{file}", "missing")
}

async fn outcome(sample: &Sample, who: &str, route: &str, execution: u64) -> Outcome {
    let (method, path) = route.split_once(' ').unwrap();
    let response = sample.send(crate::testing::request(who, method, &filled(path, execution), None)).await;
    let status = response.status().as_u16();
    assert!(status < 500, "{route} as {who:?}: {status}");
    // A stream goes on for ever, and its head says enough.
    let is_missing_part = path.contains("{reference}")
        || path.contains("{step}")
        || ["{number}", "{user}", "{token}", "{secret}", "{file}"].iter().any(|part| path.contains(part));
    match status {
        401 => Outcome::Unknown,
        403 => Outcome::Forbidden,
        404 if is_missing_part => {
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            match text.contains("no such tenant") || text.contains("no such execution") {
                true => Outcome::Hidden,
                false => Outcome::LetIn,
            }
        }
        404 => Outcome::Hidden,
        _ => Outcome::LetIn,
    }
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let mut routes = routes();
    let mut rows: Vec<_> = ROWS.iter().map(|(route, _)| (*route).to_owned()).collect();
    routes.sort();
    rows.sort();
    assert_eq!(routes, rows);
    let unique: BTreeMap<_, _> = ROWS.iter().map(|(route, _)| (route, ())).collect();
    assert_eq!(unique.len(), ROWS.len());
}

#[tokio::test]
async fn every_route_lets_in_exactly_those_who_may() {
    let sample = Sample::new().await;
    let execution = sample.execution_of("acme", "a").await;
    let check = async |route: &str, who: &str, expected: Outcome| {
        let found = outcome(&sample, who, route, execution).await;
        assert_eq!(found, expected, "{route} as {who:?}");
    };
    for (route, of) in ROWS {
        let is_of_tenant = route.contains("{tenant}");
        let without = if matches!(of, For::All) { Outcome::LetIn } else { Outcome::Unknown };
        for nobody in ["", "nothing", "sbx_0000", "viewer@"] {
            check(route, nobody, without).await;
        }
        let stranger = match (of, is_of_tenant) {
            (For::All | For::Signed, _) => Outcome::LetIn,
            (For::Session, _) => Outcome::Forbidden,
            (_, true) => Outcome::Hidden,
            (_, false) => Outcome::Forbidden,
        };
        for foreign in ["administrator@other", "administer@other", "one@other"] {
            check(route, foreign, stranger).await;
        }
        for role in Role::ALL {
            let expected = match of {
                For::All | For::Signed | For::Inside | For::Own => Outcome::LetIn,
                For::Session => Outcome::Forbidden,
                For::Role(least, _) if role >= *least => Outcome::LetIn,
                For::Role(..) | For::Operators(_) => Outcome::Forbidden,
            };
            check(route, &format!("{role}@acme"), expected).await;
        }
        for scope in Scope::ALL {
            let found = outcome(&sample, &format!("{scope}@acme"), route, execution).await;
            let is_let_in = match of {
                For::All | For::Signed | For::Inside => true,
                For::Session => false,
                For::Own => scope == Scope::Administer,
                For::Role(_, needed) => scope == *needed,
                For::Operators(_) => false,
            };
            assert_eq!(found == Outcome::LetIn, is_let_in, "{route} with {scope}: {found:?}");
        }
        if let For::Operators(needed) = of {
            for scope in Scope::ALL {
                let found = outcome(&sample, &format!("operator+{scope}"), route, execution).await;
                assert_eq!(found == Outcome::LetIn, scope == *needed, "{route} with {scope}: {found:?}");
            }
        }
        for operator in ["operator", "operator-token"] {
            let expected = if matches!(of, For::Session) { Outcome::Forbidden } else { Outcome::LetIn };
            check(route, operator, expected).await;
        }
    }
}

/// A token for one instance reaches this one and its executions, and nothing that shows others.
#[tokio::test]
async fn a_token_for_one_instance_reaches_nothing_else() {
    let sample = Sample::new().await;
    let (own, hidden) = (sample.execution_of("acme", "a").await, sample.execution_of("acme", "hidden").await);
    for (route, of) in ROWS {
        let For::Role(..) = of else { continue };
        // Decided by administrators, whatever the instance; and uploads are of use for a launch only.
        let is_rights = route.ends_with("/rights");
        let is_upload = route.contains("/{tenant}/files") && !route.starts_with("GET ");
        let is_of_instance = route.contains("/instances/{code}") || route.contains("{execution}");
        let is_bound = is_upload || (is_of_instance && !is_rights);
        let found = outcome(&sample, "one@acme", route, own).await;
        assert_eq!(found == Outcome::LetIn, is_bound, "{route}: {found:?}");
        if route.contains("{execution}") {
            assert_eq!(outcome(&sample, "one@acme", route, hidden).await, Outcome::Hidden, "{route}");
        }
    }
}

/// Who may not see an instance finds neither it nor its executions, on any route.
#[tokio::test]
async fn a_hidden_instance_is_not_found_anywhere() {
    let sample = Sample::new().await;
    let hidden = sample.execution_of("acme", "hidden").await;
    let (own, missing) = (sample.execution_of("acme", "a").await, 999_999);
    for (route, of) in ROWS {
        let For::Role(..) = of else { continue };
        let (method, path) = route.split_once(' ').unwrap();
        let pairs = if path.contains("{execution}") {
            [hidden, missing].map(|number| filled(path, number))
        } else if path.contains("/instances/{code}") {
            ["hidden", "missing"].map(|code| filled(&path.replace("{code}", code), own))
        } else {
            continue;
        };
        let [hidden, missing] = [&pairs[0], &pairs[1]];
        let (status, mut of_hidden) = sample.ask("narrow@acme", method, hidden, None).await;
        let (same, mut of_missing) = sample.ask("narrow@acme", method, missing, None).await;
        for answer in [&mut of_hidden, &mut of_missing] {
            answer.as_object_mut().unwrap().remove("request_id");
        }
        // The lists of rights are for administrators alone, and the answer to others is the same for every instance.
        let expected = if path.ends_with("/rights") { 403 } else { 404 };
        assert_eq!((status, same), (expected, expected), "{route}");
        assert_eq!(of_hidden, of_missing, "{route}");
    }
}
